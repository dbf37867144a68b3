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
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/disk"
	"github.com/gitboot/gitboot/disk/bootcode"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/placement"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

const stagePath = placement.StagePath

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
	// Keys is the folder of the keys that sign what it boots, "" for Config's.
	Keys string
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
	// SigningKey says that it holds the private key that signs what it boots.
	SigningKey bool
	// LacksKey is the machine's public key, if it does not have the private one and so
	// cannot open Secrets anew; "" if it can, or there are none.
	LacksKey string
	// PrivateKeys are files of what the machine keeps that hold others, sorted.
	PrivateKeys []string
	// images are those of them that the machine boots, in the menu's order.
	images   []string
	declared *layout.Disk
	config   reconciler.Config
	wants    []spec.Image
	temp     string
}

// Prepare stages all that the disk is to hold. What it makes in Temp must last until
// the disk is made.
func Prepare(ctx context.Context, o Order) (_ *Plan, err error) {
	defer func() { err = inTemp(o.Temp, err) }()
	p := &preparation{Order: o, now: time.Now}
	p.Config.Now = func() time.Time { return p.now() }
	p.Config.Booted, p.Config.BootID, p.Config.Notices, p.Config.MachineID = "", "", "", "" // another machine boots it
	p.Config.Elsewhere = true
	if len(p.Config.Identities) > 0 {
		p.Config.IdentityFile = "" // which is this computer's
	}
	if p.Config.Stage == "" {
		p.Config.Stage = filepath.Join(o.Temp, "stage")
	}
	if o.Keys != "" {
		var err error
		if p.Config.SigningKeys, err = filepath.Abs(o.Keys); err != nil {
			return nil, err
		}
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
	now    func() time.Time
	wanted *wanted.Wanted
	size   int64
	place  placement.Placement
	folder string // what lies where the boot loader looks, here
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
	if err := p.keepKey(); err != nil {
		return err
	}
	if p.place, err = placement.Of(p.wanted.Wants); err != nil {
		return err
	}
	p.Config.Arch = p.place.Arch
	if err := p.signs(); err != nil {
		return err
	}
	if p.size, err = p.Size(p.wanted.Wants.Disk); err != nil {
		return err
	}
	at := p.wanted.Revision.Time
	p.now = func() time.Time { return at }
	if need := layout.Need(p.place.Partitions); p.size != 0 && p.size < need {
		return &layout.TooSmallError{Size: p.size, Need: need}
	}
	return disk.Installed(p.place.Arch, p.place.Loader, p.place.Partitions)
}

// stage makes what is wanted, and the boot loader's folder, as if both lay on the disk.
func (p *preparation) stage(ctx context.Context) error {
	p.Config.Location, p.Config.BootLocation = cmp.Or(p.Order.Stage, &p.place.Stage), cmp.Or(p.ESP, &p.place.Boot)
	if err := p.own(p.Config.Location.UUID); err != nil {
		return err
	}
	if err := p.bootFolder(ctx); err != nil {
		return err
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
	keys, err := privateKeys(p.Config.Stage)
	if err != nil {
		return nil, err
	}
	if err := p.addKeys(ctx, &stage); err != nil {
		return nil, err
	}
	out := &Plan{SigningKey: p.secure() && !p.KeepKey, PrivateKeys: keys, Machine: p.wanted.Wants.Machine, Undeclared: p.wanted.Wants.Undeclared, Revision: p.wanted.Revision.Hash, Deployments: map[string]string{}, declared: p.wanted.Wants.Disk, config: p.Config, wants: p.wanted.Wants.Images, temp: p.Temp}
	if err := p.fill(out, doc); err != nil {
		return nil, err
	}
	out.Disk = disk.Disk{Arch: p.place.Arch, UUID: layout.DiskUUID(p.place.Seed), Size: p.size, Time: p.wanted.Revision.Time, Stage: stage, Temp: p.Temp}
	room := out.Room(p.place.Stage.Type)
	if p.size == 0 {
		const unit = 1_000_000_000
		out.Size = max(least, (layout.With(p.place.Partitions, layout.Stage, 2*room+spare)+unit-1)/unit*unit)
	}
	out.Size = out.Size / whole * whole
	if out.Partitions, err = layout.Place(p.place.Partitions, out.Size, p.place.Seed); err != nil {
		return nil, err
	}
	if has := layout.Find(out.Partitions, layout.Stage).Length; has < room {
		return nil, fmt.Errorf("the stage holds %s, and its partition has %s; take a larger disk, or give the partition more", progress.Bytes(room), progress.Bytes(has))
	}
	return out, p.addLoader(ctx, out)
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
	if key, kept := p.machineKey(); key != "" && len(out.Secrets) > 0 {
		has, err := kept.Has(key)
		if err != nil {
			return err
		}
		if !has {
			out.LacksKey = key
		}
	}
	return nil
}

// addLoader adds the boot loader's folder.
func (p *preparation) addLoader(ctx context.Context, out *Plan) (err error) {
	switch p.place.Loader {
	case layout.Loader:
		out.GRUB, err = grubTree(p.folder)
		return err
	case layout.RaspberryPi:
		out.MBR = true // a board's ROM reads no other table
		if err := p.addFirmware(ctx, out); err != nil {
			return err
		}
	}
	out.ESP, err = p.espFiles(layout.Find(out.Partitions, layout.ESP).Length)
	return err
}

// Make writes the disk to a file that is empty.
func (p *Plan) Make(ctx context.Context, image *os.File, sink progress.Sink) (err error) {
	made, err := p.Lay(ctx)
	if err != nil {
		return inTemp(p.temp, err)
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	task := progress.Start(sink, "writing the disk of "+p.Machine, made.Bytes())
	defer func() { task.End(err) }()
	return made.Fill(ctx, image, func(n int64) { task.Add(n) })
}
