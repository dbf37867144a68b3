package spec

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/internal/span"
	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/health"
	"github.com/gitboot/gitboot/spec/partition"
	"github.com/gitboot/gitboot/spec/problem"
	"github.com/gitboot/gitboot/spec/table"
)

// Resolve returns what one machine wants, its files read and its templates
// rendered. The error is an *UnknownMachineError, Problems, or the context's.
func (f *Fleet) Resolve(ctx context.Context, machine string) (*Wants, error) {
	decl, ok := f.machines[machine]
	if !ok {
		return nil, &UnknownMachineError{Name: machine, Known: f.Machines()}
	}
	r := f.resolver(&bounds.Meter{Ctx: ctx, Left: bounds.MaxWork, Enough: bounds.ErrWork}, machine, decl)
	w := r.wants()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("resolving machine %s: %w", machine, err)
	}
	if err := f.judged(r.Err()); err != nil {
		return nil, err
	}
	return w, nil
}

func (r *resolver) wants() *Wants {
	machine, decl := r.name, r.decl
	w := &Wants{Machine: machine, MachineID: text(decl.MachineID), Arch: text(r.merged.Arch), Boot: Boot{Mode: "menu", Tries: 3}}
	readBoot(r, &w.Boot)
	w.Approve = approve(r.merged.Approve)
	w.Windows, w.Reboots = windows(r.merged.Windows), windows(r.merged.Reboots)
	unlock := unlockArgs(r)
	for _, name := range r.merged.Images {
		if r.over {
			break
		}
		image := r.image(name)
		image.KernelArgs = append(image.KernelArgs, unlock...)
		r.kernelArgs(image)
		checkBoard(r, image)
		r.health(image)
		image.Hooks = r.hooks(image)
		w.Images = append(w.Images, image)
	}
	w.Recovery, w.BootTest = r.recovery(w.Images), bootTest(r.merged.BootTest)
	if w.Disk = r.disk(); w.Disk != nil {
		if err := layout.CheckLoader(w.Boot.Loader, w.Disk.Partitions); err != nil {
			r.Add(decl.where, w.Boot.Loader, "machine "+machine+": "+err.Error(), "")
		}
	}
	builds := slices.Clone(r.merged.Builds)
	slices.Sort(builds)
	for _, name := range slices.Compact(builds) {
		w.Builds = append(w.Builds, r.image(name))
	}
	w.Signs = r.signs[machine]
	checkLent(r, w)
	return w
}

func approve(declared *approveDecl) (a Approve) {
	if declared == nil {
		return a
	}
	a.Manual, a.Tag = declared.manual, text(declared.Tag)
	if declared.After != nil {
		a.After, _ = span.Parse(*declared.After) // what is none was refused
	}
	return a
}

func windows(declared []windowDecl) (out []Window) {
	for _, w := range declared {
		out = append(out, Window{Cron: text(w.Cron), Length: duration(w.Duration), TimeZone: text(w.TimeZone)})
	}
	return out
}

// A resolver makes one machine's wants.
type resolver struct {
	problem.List
	*Fleet
	*bounds.Meter
	over   bool // the meter has nothing left
	name   string
	decl   *machineDecl
	layers []*machineSettings // profiles, then the machine
	merged machineSettings
	vars   map[string]any // as templates see them
	builds map[string]bool
}

func (f *Fleet) resolver(m *bounds.Meter, name string, decl *machineDecl) *resolver {
	r := &resolver{Fleet: f, Meter: m, name: name, decl: decl, builds: map[string]bool{}}
	for _, p := range f.profilesOf(decl.Profiles) {
		if !r.spend(10 + len(p.HooksAppend)) {
			break
		}
		r.layers = append(r.layers, &p.machineSettings)
	}
	r.layers = append(r.layers, &decl.machineSettings)
	all := append([]*machineSettings{f.defaults.Machine}, r.layers...)
	for i, layer := range all { // the variables below a layer are copied for it
		if layer != nil && layer.Vars != nil && !r.spend(len(layer.Vars)*(len(all)-i)/4) {
			all = nil
			break
		}
	}
	r.merged = table.Merge(all...)
	for _, name := range r.merged.Builds {
		r.builds[name] = true
	}
	return r
}

// spend says whether more may be done for the machine.
func (r *resolver) spend(n int) bool {
	if r.Meter.Spend(n) {
		return true
	}
	if !r.over && r.Ctx.Err() == nil {
		r.Add(r.decl.where, "", r.Enough.Error(), "see the limits in docs/config.md")
	}
	r.over = true
	return false
}

// image resolves all of an image but its hooks.
func (r *resolver) image(name string) Image {
	if !r.spend(30 + 5*len(r.layers)) {
		return Image{Name: name}
	}
	decl := r.images[name]
	s := r.settings(decl)
	image := Image{
		Name:       name,
		KernelArgs: slices.Clone(s.KernelArgs),
		Kernel:     text(s.Kernel),
		Keep:       3,
		TmpfsSize:  text(s.TmpfsSize),
		CopyToRAM:  s.CopyToRAM != nil && *s.CopyToRAM,
		Upper:      upperOfImage(r, &s, name),
		Verity:     strings.TrimPrefix(text(s.Verity), "off"),
		Health:     health.Of(s.Health),
	}
	if s.Keep != nil {
		image.Keep = *s.Keep
	}
	(&sourcing{r, decl}).of(&image)
	image.Tag = "latest"
	if image.Pull != nil {
		image.Tag = tagOf(image.Pull.Ref)
	}
	return image
}

// upperOfImage is that of an image, which cannot be on a disk that may be taken away.
func upperOfImage(r *resolver, s *settings, image string) *deployment.Upper {
	u := partition.UpperOf(s.Root)
	if u != nil && s.CopyToRAM != nil && *s.CopyToRAM {
		r.Add(r.decl.where, "image "+image, "has copy_to_ram, so that its disk can be removed, and root.upper on a disk",
			`say upper = "tmpfs" or copy_to_ram = false`)
		return nil
	}
	return u
}

// settings merges what an image and a machine can both say: the defaults of
// both first, then the image, its machine's profiles and the machine.
func (r *resolver) settings(image *imageDecl) settings {
	var layers []*settings
	if d := r.defaults.Machine; d != nil {
		layers = append(layers, &d.settings)
	}
	if d := r.defaults.Image; d != nil {
		layers = append(layers, &d.settings)
	}
	layers = append(layers, &image.settings)
	for _, layer := range r.layers {
		layers = append(layers, &layer.settings)
	}
	return table.Merge(layers...)
}

// health checks what only the merged table shows.
func (r *resolver) health(image Image) {
	if image.Health == nil {
		return
	}
	if err := image.Health.Validate(); err != nil {
		r.Add(r.decl.where.At("images"), image.Name, "its health on machine "+r.name+" cannot be: "+err.Error(), "change the table health here, in the machine's profiles, or in the image")
	}
}

// kernelArgs checks what only the merged arguments show. The place is the
// machine's, because none of those that they come from is wrong by itself.
func (r *resolver) kernelArgs(image Image) {
	if err := deployment.CheckArgs(r.name, image.Name, image.KernelArgs); err != nil {
		r.Add(r.decl.where.At("images"), image.Name, "its kernel arguments on machine "+r.name+" "+err.Error(), "leave some out, here, in the machine's profiles, or in the image")
	}
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// size reads what the check "size" lets through; none is 0.
func size(s *string) int64 {
	n, _ := progress.ParseBytes(text(s))
	return n
}

// duration parses what was checked; "" is 0.
func duration(s *string) time.Duration {
	d, _ := time.ParseDuration(text(s))
	return d
}
