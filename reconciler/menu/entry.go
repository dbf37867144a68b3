package menu

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// entries returns an image's boot entries, newest first. A generation that GRUB
// could not boot gets none: the others must not lose theirs by it.
func (b *Book) entries(name string, doc *state.Machine, broken map[string]bool, fs boot.Filesystem, counted *deployment.Location, more func(boot.Entry, deployment.Location) []string) (out []boot.Entry) {
	img := doc.Images[name]
	if img == nil {
		return nil
	}
	lastGood, newest := doc.LastGood(name), img.Newest()
	for _, g := range slices.Backward(img.Generations) {
		read := b.Stage.Deployment
		if g.Deployment == lastGood || g.N == newest.N || boot.EntryID(name, g.Deployment) == doc.Default {
			read = b.proven
		}
		e, err := entryOf(read, name, doc.Machine, g, fs)
		if e.State = stateOf(doc, broken, g); err == nil && counted != nil {
			e.Args = append(more(e, *counted), e.Args...)
			err = e.Check(fs)
		}
		if err != nil {
			b.Log.Warn("generation gets no boot entry", "image", name, "generation", g.N, "error", err)
			continue
		}
		out = append(out, e)
	}
	return out
}

// proven is a manifest of what boots by itself: it is not remembered but read.
func (b *Book) proven(id string) (*deployment.Manifest, error) { return stage.Proven(b.Stage, id) }

// stateOf is what is known of a generation: of one that is not whole, that goes
// before all but that it is bad.
func stateOf(doc *state.Machine, broken map[string]bool, g state.Generation) string {
	known := doc.Verdicts.State(g.Deployment)
	if known != boot.Bad && broken[g.Deployment] {
		return boot.Damaged
	}
	return known
}

// fallsBack has process 1 know what boots in place of the default, if that is found
// damaged; what is on trial falls back as ever. It is told where there is room.
func fallsBack(m *boot.Menu, counted deployment.Location) {
	for _, image := range m.Images {
		for i, e := range image.Entries {
			if e.ID != m.Default || m.Fallback == "" || e.State == boot.Trying {
				continue
			}
			told := deployment.Cmdline{Fallback: m.Fallback, Block: counted}
			if counted.InNames() {
				told.Entry = e.ID // which is to be passed over
			}
			e.Args = append(told.Optional(), e.Args...)
			if e.Check(m.Stage) == nil {
				image.Entries[i] = e
			}
		}
	}
}

// onTrial is what process 1 is told besides of what is on trial: by which entry it
// was booted, and where that is counted.
func onTrial(e boot.Entry, counted deployment.Location) []string {
	if e.State != boot.Trying {
		return nil
	}
	return (deployment.Cmdline{Trying: true, Entry: e.ID, Block: counted}).Optional()
}

// unified is that of an entry whose command line is signed, once and for all: it says
// where process 1 finds out whether it is on trial, and what boots in its place.
func unified(e boot.Entry, counted deployment.Location) []string {
	return (deployment.Cmdline{Counted: true, Entry: e.ID, Block: counted}).Optional()
}

// entryOf returns a generation's boot entry, or why there can be none.
func entryOf(read func(id string) (*deployment.Manifest, error), name, machine string, g state.Generation, fs boot.Filesystem) (boot.Entry, error) {
	m, err := read(g.Deployment)
	if err != nil {
		return boot.Entry{}, err
	}
	e := Entry(name, machine, g, m, fs)
	return e, cmp.Or(e.Check(fs), Assembles(m, g.Inputs, fs))
}

// Entry is a generation's boot entry.
func Entry(name, machine string, g state.Generation, m *deployment.Manifest, fs boot.Filesystem) boot.Entry {
	cmdline := ownCmdline(machine, g.Deployment, fs)
	return boot.Entry{
		ID:     boot.EntryID(name, g.Deployment),
		Title:  title(name, g),
		Kernel: m.Kernel.Path(),
		Initrd: m.Initramfs.Path(),
		Args:   append(cmdline.Args(), deployment.Foreign(m.KernelArgs)...),
	}
}

// trial returns the entry of what is tried, nil if there is none, or if it could
// not be booted. If it fails, the machine restarts with what it boots by itself.
func (b *Book) trial(doc *state.Machine, fs boot.Filesystem) *boot.Entry {
	t := doc.Trial
	if t == nil {
		return nil
	}
	m, err := b.Stage.Deployment(t.Deployment)
	if err == nil {
		e := Entry(t.Image, doc.Machine, state.Generation{Deployment: t.Deployment}, m, fs)
		e.ID, e.Title = boot.TrialID(t.Deployment), "try: "+t.Title()
		cmdline := ownCmdline(doc.Machine, t.Deployment, fs)
		cmdline.Trying = true
		e.Args = append(cmdline.Args(), deployment.Foreign(m.KernelArgs)...)
		if err = cmp.Or(e.Check(fs), Assembles(m, plan.Inputs{}, fs)); err == nil {
			return &e
		}
	}
	b.Log.Warn("what is tried gets no boot entry", "source", t.Source, "error", err)
	return nil
}

// recovery returns the recovery entry, nil if there is none, or if it could not be
// booted.
func (b *Book) recovery(doc *state.Machine, fs boot.Filesystem) *boot.Entry {
	r := doc.Recovery
	if r == nil || r.Deployment == "" {
		return nil
	}
	m, err := b.Stage.Deployment(r.Deployment)
	if err == nil {
		cmdline := ownCmdline(doc.Machine, r.Deployment, fs)
		cmdline.Recovery = true
		e := &boot.Entry{ID: boot.RecoveryID, Title: r.Title(), Kernel: m.Kernel.Path(), Initrd: m.Initramfs.Path(), Args: append(cmdline.Args(), m.KernelArgs...)}
		if lacking, err := stage.Lacking(b.Stage, m); err != nil || len(lacking) > 0 {
			e.State = boot.Damaged
		}
		if err = e.Check(fs); err == nil {
			return e
		}
	}
	b.Log.Warn("the recovery entry is not in the boot menu", "error", err)
	return nil
}

// ownCmdline is gitboot's part of a kernel command line.
func ownCmdline(machine, id string, fs boot.Filesystem) deployment.Cmdline {
	return deployment.Cmdline{
		Stage:      deployment.Location{Device: "UUID=" + fs.UUID, Path: fs.Path},
		Assembly:   fs.Assembly,
		Deployment: id,
		Machine:    machine,
	}
}

// title tells generations apart, and those that somebody has pinned from all
// others.
func title(name string, g state.Generation) string {
	text := fmt.Sprintf("%s, generation %d (%s, %s)", name, g.N, g.Created.UTC().Format("2006-01-02 15:04"), g.From())
	switch {
	case g.Pin == nil:
		return text
	case g.Pin.Label == "":
		return text + " [pinned]"
	}
	return text + " [pinned: " + g.Pin.Label + "]"
}

// Check finds out before anything is fetched whether what is wanted could
// be written into the menu. What a config repo can do wrong was refused when it
// was read; a stage's path may be too long for the rest.
func Check(machine string, want spec.Image, fs boot.Filesystem) error {
	object := deployment.Object{SHA256: strings.Repeat("0", len(deployment.ID(nil)))}
	m := &deployment.Manifest{Kernel: object, Initramfs: object, KernelArgs: want.KernelArgs}
	e := Entry(want.Name, machine, state.Generation{Deployment: object.SHA256}, m, fs)
	if err := e.Check(fs); err != nil {
		return fmt.Errorf("it cannot be put into the boot menu of the stage at %s: %w", fs.Path, err)
	}
	return nil
}

// Unbootable says why a generation will never boot and is of no use; empty if
// it may. That the stage lies where its entry cannot be written is not the
// generation's fault.
func (b *Book) Unbootable(name, machine string, g state.Generation, fs boot.Filesystem) string {
	m, err := b.Stage.Deployment(g.Deployment)
	if err != nil {
		return "its manifest cannot be read"
	}
	e := Entry(name, machine, g, m, fs)
	args := deployment.Foreign(m.KernelArgs)
	if _, own := deployment.Words("", args); e.Check(fs) == nil || own == nil && deployment.CheckArgs(machine, name, args) == nil {
		return ""
	}
	return "its kernel arguments cannot be put into a boot menu"
}

// Hidden says why a generation is not in the menu.
func (b *Book) Hidden(ctx context.Context, name, machine string, g state.Generation) string {
	fs, err := b.Locate(ctx)
	if err == nil {
		_, err = entryOf(b.Stage.Deployment, name, machine, g, fs)
	}
	if err != nil {
		return "not in the boot menu: " + err.Error()
	}
	return "not in the boot menu; the next reconcile writes it"
}
