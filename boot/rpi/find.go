package rpi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/block"
	"github.com/gitboot/gitboot/boot/copies"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/marked"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/boot/rpi/tryboot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/owned"
)

// points are where the boot partition is mounted: Raspberry Pi OS has the first, and had
// the other.
var points = [...]string{"/boot/firmware", "/boot"}

// copiesDir is our folder on it.
const copiesDir = "gitboot"

// A Loader is the boot partition of a Raspberry Pi, and the menu of one stage.
type Loader struct {
	dir, stage string
	// at is where dir lies, once it was found.
	at *boot.Filesystem
}

// Open finds the boot partition that is mounted at dir or, if that is empty, where one
// usually is. The stage is its folder.
func Open(dir, stage string) (*Loader, error) {
	dirs := points[:]
	if dir != "" {
		dirs = []string{dir}
	}
	for _, dir := range dirs {
		if info, err := os.Stat(filepath.Join(dir, tryboot.Config)); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := owned.Check(dir); err != nil {
			return nil, fmt.Errorf("find config.txt: %w", err)
		}
		return &Loader{dir: dir, stage: stage}, nil
	}
	return nil, fmt.Errorf("find config.txt: there is none in %s; mount the partition that the Raspberry Pi boots from, or say where it is mounted with --boot", strings.Join(dirs, " or "))
}

// modelFile is where the firmware says what the board is (the kernel's devicetree
// specification, 2.3.2, "model").
const modelFile = "/proc/device-tree/model"

// Running reports whether this computer is a Raspberry Pi whose boot partition Open finds.
func Running() bool {
	model, err := os.ReadFile(modelFile)
	if err != nil || !bytes.HasPrefix(model, []byte("Raspberry Pi")) {
		return false
	}
	_, err = Open("", "")
	return err == nil
}

// LiesAt says where the boot partition will be found at boot, of a folder that is none yet.
func (l *Loader) LiesAt(at boot.Filesystem) { l.at = &at }

// Dir returns where the boot partition is mounted.
func (l *Loader) Dir() string { return l.dir }

// Where is config.txt.
func (l *Loader) Where() string { return l.path(tryboot.Config) }

func (l *Loader) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

func (l *Loader) copies() copies.Folder { return copies.Folder{Dir: l.path(copiesDir), Stage: l.stage} }

// Check finds out whether what the menu names can be copied to where the firmware reads it.
// What the stage lies on does not matter to it.
func (l *Loader) Check(_ context.Context, stage boot.Filesystem) error {
	if err := errors.Join(stage.Check(), owned.Check(l.dir)); err != nil {
		return err
	}
	if err := l.copies().Check(); err != nil {
		return fmt.Errorf("copy kernels to where the firmware reads them: %w", err)
	}
	return nil
}

// A memory is the block beside the copies.
type memory struct {
	block.File
	partition string
}

// Location is where process 1 finds it.
func (m memory) Location() deployment.Location {
	return deployment.Location{Device: "UUID=" + m.partition, Path: "/" + deployment.TrybootBlock}
}

// Memory finds the block, which gitboot counts in for the firmware.
func (l *Loader) Memory(ctx context.Context, _ boot.Filesystem) (loader.Memory, error) {
	at, err := place.Top(ctx, l.dir, l.at)
	if err == nil {
		l.at, err = &at, l.tries()
	}
	if err != nil {
		return nil, err
	}
	return memory{l.block(), at.UUID}, nil
}

func (l *Loader) block() block.File { return block.File(l.path(deployment.TrybootBlock)) }

// tries says why the firmware would not read our tryboot.txt when it is asked to.
func (l *Loader) tries() error {
	auto, err := os.ReadFile(l.path("autoboot.txt"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if what := elsewhere(string(auto)); what != "" {
		return fmt.Errorf("%s says %s, so that the firmware would not read tryboot.txt; take that out", l.path("autoboot.txt"), what)
	}
	return l.checkTry()
}

// elsewhere is the line of an autoboot.txt by which "tryboot" means something else than
// tryboot.txt, "" if none does.
func elsewhere(auto string) string {
	filter := "all"
	for line := range strings.Lines(auto) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			filter = strings.Trim(line, "[]")
		case filter != "none" && key == "tryboot_a_b" && value != "0", filter == "tryboot" && key == "boot_partition":
			return line
		}
	}
	return ""
}

// alone reports whether the firmware finds nothing to boot besides our part of config.txt:
// no kernel with a name of its own choice, and no line that leads to another.
func (l *Loader) alone() (bool, error) {
	if kernels, err := filepath.Glob(l.path("kernel*.img")); err != nil || len(kernels) > 0 {
		return false, err
	}
	f, err := marked.Read(l.Where())
	if err != nil {
		return false, err
	}
	f.Last()
	for line := range strings.Lines(string(f.Before)) {
		for _, leads := range []string{"kernel=", "os_prefix=", "include "} {
			if strings.HasPrefix(line, leads) {
				return false, nil
			}
		}
	}
	return true, nil
}
