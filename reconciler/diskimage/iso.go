package diskimage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/bootcode"
	"github.com/gitboot/gitboot/disk/iso"
	"github.com/gitboot/gitboot/disk/medium"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage"
)

// A MediumOrder is what an installation medium is to be, besides a machine's.
type MediumOrder struct {
	File
	// How is what its kernels are told of how to install, of deployment.ParamInstall.
	How string
	// Answers are its install.toml, nil for none. With them its installation begins by
	// itself.
	Answers []byte
}

// title is the label of a medium.
const title = "GITBOOT"

// A mediumMaker makes one medium.
type mediumMaker struct {
	*Plan
	order   MediumOrder
	dir     string
	stage   *stage.Stage
	out     iso.Medium
	entries []bootcode.Entry
	sink    progress.Sink
}

// WriteMedium makes a medium that boots the machine's images, live, and installs the
// machine, and publishes it as a file.
func (p *Plan) WriteMedium(ctx context.Context, o MediumOrder, sink progress.Sink) error {
	if err := o.Check(); err != nil {
		return err
	}
	if p.MBR {
		return fmt.Errorf("write %s: no Raspberry Pi starts a medium like this; make the disk of machine %s (gitboot disk image), and write that onto its card (gitboot disk write)", o.Path, p.Machine)
	}
	if p.Arch != runtime.GOARCH {
		return fmt.Errorf("write %s: a medium holds gitboot itself, which is here for %s, and machine %s is %s; make its medium on such a computer, or its disk (gitboot disk image) here", o.Path, runtime.GOARCH, p.Machine, p.Arch)
	}
	if err := p.room(filepath.Dir(o.Path), elsewhere); err != nil { // before all else that takes time
		return fmt.Errorf("write %s: %w", o.Path, err)
	}
	st, err := stage.Open(p.config.Stage)
	if err != nil {
		return err
	}
	m := &mediumMaker{Plan: p, order: o, dir: filepath.Join(p.temp, "medium"), stage: st, sink: sink, out: iso.Medium{Arch: p.Arch, Label: title, Time: p.Time, Files: map[string]string{}}}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return err
	}
	for _, step := range m.steps() {
		if err := errors.Join(fault.Point("disk.medium"), context.Cause(ctx)); err != nil {
			return inTemp(p.temp, err)
		}
		if err := step(ctx); err != nil {
			return inTemp(p.temp, err)
		}
	}
	m.menu()
	return p.publish(ctx, o.File, func(out *os.File) error {
		task := progress.Start(sink, "writing "+filepath.Base(o.Path), 0)
		err := m.out.Make(ctx, out.Name(), m.dir)
		task.End(err)
		return err
	})
}

// steps are what is put onto the medium. An image alone is no machine that could be
// installed.
func (m *mediumMaker) steps() []func(context.Context) error {
	if m.Undeclared {
		return []func(context.Context) error{m.staged, m.live}
	}
	return []func(context.Context) error{m.staged, m.installation, m.live, m.install}
}

// staged has all on the medium that the machine's disk has of its stage.
func (m *mediumMaker) staged(context.Context) error {
	for _, f := range m.Stage.Files {
		from := f.Source
		if from == "" {
			var err error
			if from, err = m.text(strings.ReplaceAll(strings.TrimPrefix(f.Path, "/"), "/", "-"), f.Text); err != nil {
				return err
			}
		}
		m.out.Files[f.Path] = from
	}
	return nil
}

// text keeps what is to be on the medium in a file.
func (m *mediumMaker) text(name string, data []byte) (string, error) {
	file := filepath.Join(m.dir, name)
	return file, os.WriteFile(file, data, 0o600)
}

// installation says what lies where on the machine's disk.
func (m *mediumMaker) installation(ctx context.Context) (err error) {
	laid, err := m.Lay(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, laid.Close()) }()
	rest, err := os.Create(filepath.Join(m.dir, "pieces"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rest.Close()) }()
	doc := medium.Document{Machine: m.Machine, Revision: m.Revision, Partitions: m.Partitions, Deployments: m.Deployments}
	if m.declared != nil {
		doc.Declared = *m.declared
		doc.Declared.Partitions = nil
	}
	if err := doc.Write(ctx, laid, m.config.Stage, rest); err != nil {
		return err
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	told, err := m.text("disk.json", data)
	if err != nil {
		return err
	}
	m.out.Files[path.Join(stagePath, medium.DocumentFile)] = told
	m.out.Files[path.Join(stagePath, medium.PiecesFile)] = rest.Name()
	if m.order.Answers == nil {
		return nil
	}
	m.out.Files[path.Join(stagePath, medium.AnswersFile)], err = m.text("install.toml", m.order.Answers)
	return err
}

// live adds entries that boot images from the medium.
func (m *mediumMaker) live(ctx context.Context) error {
	for i, name := range m.images {
		id := m.Deployments[name]
		manifest, err := m.stage.Deployment(id)
		if err != nil {
			return err
		}
		initrd := fmt.Sprintf("/live/%d.img", i)
		if err := m.initramfs(ctx, manifest, initrd, initramfs.Options{Init: m.config.Init, Medium: true, Verity: manifest.Verity != nil}); err != nil {
			return err
		}
		for _, ram := range []bool{false, true} {
			e := bootcode.Entry{Title: name + ", from this medium", ID: fmt.Sprintf("live-%d", i), Initrd: initrd}
			if ram {
				e.Title, e.ID = name+", in memory: the medium can be taken out then", e.ID+"-memory"
			}
			m.entry(e, manifest, deployment.Cmdline{Deployment: id, RAM: ram, Live: true})
		}
	}
	return nil
}

// install adds the entry that installs the machine: a recovery entry, of the kernel of
// the first image.
func (m *mediumMaker) install(ctx context.Context) error {
	id := m.Deployments[m.images[0]]
	manifest, err := m.stage.Deployment(id)
	if err != nil {
		return err
	}
	programs := m.config.Programs
	if programs.Rescue == "" {
		return errors.New("find gitboot-rescue beside gitboot or in ../lib/gitboot: not there, and it brings up the network of who installs; install it with `make install`, or name it with rescue in agent.toml")
	}
	options := initramfs.Options{Init: m.config.Init, Medium: true, Recovery: &initramfs.Recovery{Rescue: programs.Rescue, Gitboot: programs.Gitboot, Shell: programs.Shell}}
	const initrd = "/live/install.img"
	if err := m.initramfs(ctx, manifest, initrd, options); err != nil {
		return err
	}
	m.entry(bootcode.Entry{Title: "install " + m.Machine + " on a disk", ID: "install", Initrd: initrd}, manifest, deployment.Cmdline{Deployment: id, Recovery: true, Install: m.order.How})
	return nil
}

// initramfs makes one for the kernel of what is staged.
func (m *mediumMaker) initramfs(ctx context.Context, manifest *deployment.Manifest, to string, o initramfs.Options) (err error) {
	tree, err := inventory.OpenTree(m.stage, manifest.Layers)
	if err != nil {
		return err
	}
	defer tree.Close()
	kernel, err := initramfs.FindKernel(tree, manifest.KernelVersion)
	if err != nil {
		return err
	}
	if o.Recovery != nil {
		if err := m.certificates(tree, o.Recovery); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(m.dir, strings.ReplaceAll(strings.TrimPrefix(to, "/"), "/", "-")))
	if err != nil {
		return err
	}
	m.out.Files[to] = f.Name()
	task := progress.Start(m.sink, "initramfs of the medium for "+kernel.Version, 0)
	_, err = initramfs.Build(ctx, tree, kernel, o, f)
	task.End(err)
	return errors.Join(err, f.Close())
}

// certificates has who installs trust whom the image does.
func (m *mediumMaker) certificates(tree *rootfs.Tree, r *initramfs.Recovery) (err error) {
	r.Certificates, err = initramfs.Certificates(tree)
	if err == nil && r.Certificates == nil && strings.HasPrefix(m.order.How, "https://") {
		err = fmt.Errorf("%s could not be trusted by who installs: the image has no certificates; install ca-certificates in it, or use http:// in a network that you trust", m.order.How)
	}
	return err
}

// entry adds one to the menu.
func (m *mediumMaker) entry(e bootcode.Entry, manifest *deployment.Manifest, c deployment.Cmdline) {
	c.Stage = deployment.Location{Device: "UUID=" + iso.UUID(m.Time), Path: stagePath}
	if !m.Undeclared {
		c.Machine = m.Machine
	}
	e.Kernel, e.Words = path.Join(stagePath, manifest.Kernel.Path()), append(c.Args(), deployment.Foreign(manifest.KernelArgs)...)
	m.entries = append(m.entries, e)
}

// patience is how many seconds somebody has at the menu.
const patience = 5

func (m *mediumMaker) menu() {
	chosen := m.entries[0].ID
	if m.order.Answers != nil || m.order.How != deployment.InstallAsk {
		chosen = "install"
	}
	var args []string
	if manifest, err := m.stage.Deployment(m.Deployments[m.images[0]]); err == nil {
		args = manifest.KernelArgs
	}
	m.out.Config = bootcode.MediumConfig(bootcode.SerialConsole(args), m.entries, chosen, patience)
}
