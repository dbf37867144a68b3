// Package diskimage makes the disk of a machine out of the config repo alone: a stage
// is made as a reconcile makes one, of which the disk is the copy. Where the stage lies
// on the disk is known before, by the UUID that its file system will have.
//
// What a reconcile would find again by itself stays behind: the clone of the config
// repo, records of runs, what engines keep. So does what is of this computer: the times
// and inodes of its files. What is left follows from the revision, and bears its time.
package diskimage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/disk"
	"github.com/gitboot/gitboot/disk/bootcode"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

// stagePath is where the stage lies on its file system.
const stagePath = "/gitboot"

// An Order is what is to be made.
type Order struct {
	// Config is the reconciler's. Its Stage is a folder that stays, so that the next
	// disk takes less, or "" for one that does not.
	Config reconciler.Config
	// Size says how large the disk is, once it is known what is declared of it, nil if
	// nothing is; 0 is what is enough.
	Size func(declared *layout.Disk) (int64, error)
	// Temp is a folder for what is needed meanwhile.
	Temp string
	// KeepKey has the disk not hold the private key that signs what boots.
	KeepKey bool
	// Enroll has a firmware in setup mode trust what is signed so, and nothing else, at
	// the first start.
	Enroll bool
	// Stage and ESP are where these lie, for what is made of a machine that has another
	// disk; nil as on its own.
	Stage, ESP *boot.Filesystem
}

// A Plan is a disk, all of which is staged.
type Plan struct {
	disk.Disk
	Machine, Revision string
	// Undeclared says that there is no such machine, and Machine is an image's name.
	Undeclared bool
	// Deployments are what was staged last, by image.
	Deployments map[string]string
	// Secrets are those of the config repo that it holds in the clear, sorted.
	Secrets []string
	// images are those of them that the machine boots, in the menu's order.
	images   []string
	declared *layout.Disk
	config   reconciler.Config
	wants    []spec.Image
	temp     string
}

// Prepare stages all that the disk is to hold. What it makes in Temp must last until
// the disk is made.
func Prepare(ctx context.Context, o Order) (*Plan, error) {
	p := &preparation{Order: o, now: time.Now}
	p.Config.Now = func() time.Time { return p.now() }
	p.Config.Booted, p.Config.BootID, p.Config.Notices, p.Config.MachineID = "", "", "", "" // another machine boots it
	if p.Config.Stage == "" {
		p.Config.Stage = filepath.Join(o.Temp, "stage")
	}
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	if err := p.stage(ctx); err != nil {
		return nil, err
	}
	return p.plan(ctx)
}

// A preparation is on the way to a plan.
type preparation struct {
	Order
	now        func() time.Time
	wanted     *wanted.Wanted
	size       int64
	partitions []layout.Partition
	seed       string
	folder     string // what lies where the boot loader looks, here
	filesystem string // the stage's
	// secretsOf tells which secrets of the config repo what was staged of an image holds.
	secretsOf func(image string) ([]string, error)
}

// read finds out what is wanted, and of what time.
func (p *preparation) read(ctx context.Context) (err error) {
	r, err := reconciler.New(p.Config)
	if err != nil {
		return err
	}
	if p.wanted, err = r.Wanted(ctx); err != nil {
		return err
	}
	p.Config.Arch = p.arch()
	p.partitions = layout.Default(p.arch())
	if d := p.wanted.Wants.Disk; d != nil {
		p.partitions = d.Partitions
	}
	if err := layout.CheckLoader(p.loader(), p.partitions); err != nil {
		return err
	}
	if p.Enroll && !p.secure() {
		return fmt.Errorf("machine %s does not declare secure_boot = true: there is nothing that its firmware could be told to trust", p.wanted.Wants.Machine)
	}
	if p.size, err = p.Size(p.wanted.Wants.Disk); err != nil {
		return err
	}
	p.seed = p.wanted.Wants.Machine + "/" + p.wanted.Wants.MachineID
	at := p.wanted.Revision.Time
	p.now = func() time.Time { return at }
	if need := layout.Need(p.partitions); p.size != 0 && p.size < need {
		return &layout.TooSmallError{Size: p.size, Need: need}
	}
	return disk.Installed(p.arch(), p.loader(), p.partitions)
}

// loader is the boot loader's name.
func (p *preparation) loader() string { return cmp.Or(p.wanted.Wants.Boot.Loader, layout.Loader) }

// arch is the machine's, or this computer's.
func (p *preparation) arch() string { return cmp.Or(p.wanted.Wants.Arch, runtime.GOARCH) }

// stage makes what is wanted, and the boot loader's folder, as if both lay on the disk.
func (p *preparation) stage(ctx context.Context) error {
	placed, err := layout.Place(p.partitions, layout.Need(p.partitions), p.seed)
	if err != nil {
		return err
	}
	at := layout.Find(placed, layout.Stage)
	p.Config.Location = &boot.Filesystem{UUID: at.Search(), Type: at.Filesystem, Path: stagePath}
	p.filesystem = at.Filesystem
	if o := p.Order.Stage; o != nil {
		p.Config.Location, at.FSID = o, o.UUID
	}
	if err := p.own(at.FSID); err != nil {
		return err
	}
	if err := p.bootFolder(ctx, placed); err != nil {
		return err
	}
	if p.ESP != nil {
		p.Config.BootLocation = p.ESP
	}
	r, err := reconciler.New(p.Config)
	if err != nil {
		return err
	}
	result, err := r.Run(ctx, reconciler.Request{Trigger: "disk", Update: true, Anyway: true})
	if err := errors.Join(err, result.Err()); err != nil {
		return err
	}
	if result.Plan.Held() {
		return fmt.Errorf("what machine %s boots is staged, but may not be published now; approve of it in %s, or make the disk without --stage", p.Config.Machine, p.Config.Stage)
	}
	p.secretsOf = r.Machine.Secrets
	return nil
}

// own refuses a stage that another disk's machine boots: its menu would lead nowhere.
func (p *preparation) own(uuid string) error {
	menu, err := os.ReadFile(filepath.Join(p.Config.Stage, "boot", "gitboot.cfg"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if bytes.Contains(menu, []byte("gitboot.stage=")) && !bytes.Contains(menu, []byte(uuid)) {
		return fmt.Errorf("the stage %s is booted from where it lies, and not one for disks of machine %s; name another folder with --stage, or leave it out", p.Config.Stage, p.Config.Machine)
	}
	return nil
}

// grubLocation is where GRUB's folder lies.
func (p *preparation) grubLocation(placed []layout.Placed) *boot.Filesystem {
	role, folder := disk.GRUBFolder(p.partitions)
	with := layout.Find(placed, role)
	return &boot.Filesystem{UUID: with.Search(), Type: with.Filesystem, Path: folder}
}

// grub makes GRUB's folder, to which the reconcile adds custom.cfg.
func (p *preparation) grub() (string, error) {
	dir := filepath.Join(p.Temp, "grub")
	var args []string
	if images := p.wanted.Wants.Images; len(images) > 0 {
		args = images[0].KernelArgs
	}
	block, err := new(env.Block).Marshal()
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.Mkdir(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "grub.cfg"), []byte(bootcode.Config(bootcode.SerialConsole(args))), 0o644),
		os.WriteFile(filepath.Join(dir, "grubenv"), block, 0o644))
}

// least is how large a disk is of which nothing is said, and spare how much of the
// stage is free then, besides as much again as it holds.
const (
	least = 8_000_000_000
	spare = 1_000_000_000
	// whole is what its size is made of: what is no multiple of a sector is another
	// size for some.
	whole = 1 << 20
)

// plan puts together what was staged, and how large all is.
func (p *preparation) plan(ctx context.Context) (*Plan, error) {
	doc, err := state.LoadMachine(p.Config.Stage)
	if err != nil {
		return nil, err
	}
	document, err := portable(doc, p.Temp)
	if err != nil {
		return nil, err
	}
	stage, err := stageTree(p.Config.Stage, document)
	if err != nil {
		return nil, err
	}
	if err := p.addKeys(ctx, &stage); err != nil {
		return nil, err
	}
	out := &Plan{Machine: p.wanted.Wants.Machine, Undeclared: p.wanted.Wants.Undeclared, Revision: p.wanted.Revision.Hash, Deployments: map[string]string{}, declared: p.wanted.Wants.Disk, config: p.Config, wants: p.wanted.Wants.Images, temp: p.Temp}
	if err := p.fill(out, doc); err != nil {
		return nil, err
	}
	out.Disk = disk.Disk{Arch: p.arch(), UUID: layout.DiskUUID(p.seed), Size: p.size, Time: p.wanted.Revision.Time, Stage: stage, Temp: p.Temp}
	room := out.Room(p.filesystem)
	if p.size == 0 {
		const unit = 1_000_000_000
		out.Size = max(least, (layout.With(p.partitions, layout.Stage, 2*room+spare)+unit-1)/unit*unit)
	}
	out.Size = out.Size / whole * whole
	if out.Partitions, err = layout.Place(p.partitions, out.Size, p.seed); err != nil {
		return nil, err
	}
	if has := layout.Find(out.Partitions, layout.Stage).Length; has < room {
		return nil, fmt.Errorf("the stage holds %s, and its partition has %s; take a larger disk, or give the partition more", progress.Bytes(room), progress.Bytes(has))
	}
	return out, p.addLoader(&out.Disk)
}

// fill says which images the disk boots, and what they hold.
func (p *preparation) fill(out *Plan, doc *state.Machine) error {
	for name, img := range doc.Images {
		if newest := img.Newest(); newest != nil {
			out.Deployments[name] = newest.Deployment
		}
	}
	for _, img := range p.wanted.Wants.Images {
		if out.Deployments[img.Name] == "" {
			continue
		}
		out.images = append(out.images, img.Name)
		names, err := p.secretsOf(img.Name)
		if err != nil {
			return err
		}
		out.Secrets = append(out.Secrets, names...)
	}
	slices.Sort(out.Secrets)
	out.Secrets = slices.Compact(out.Secrets)
	return nil
}

// addLoader adds the boot loader's folder.
func (p *preparation) addLoader(d *disk.Disk) (err error) {
	if p.loader() != layout.Loader {
		d.ESP, err = p.espFiles(layout.Find(d.Partitions, layout.ESP).Length)
	} else {
		d.GRUB, err = grubTree(p.folder)
	}
	return err
}

// Make writes the disk to a file that is empty.
func (p *Plan) Make(ctx context.Context, image *os.File, sink progress.Sink) (err error) {
	made, err := p.Lay(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	task := progress.Start(sink, "writing the disk of "+p.Machine, made.Bytes())
	defer func() { task.End(err) }()
	return made.Fill(ctx, image, func(n int64) { task.Add(n) })
}
