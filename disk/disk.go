// Package disk makes a disk that boots: a partition table, the file systems in it, and
// GRUB. It needs neither root nor a loop device, and the same description gives the same
// bytes.
package disk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/disk/bootcode"
	"github.com/gitboot/gitboot/disk/btrfs"
	"github.com/gitboot/gitboot/disk/ext4"
	"github.com/gitboot/gitboot/disk/fat"
	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/disk/xfs"
)

// A Disk is what is made.
type Disk struct {
	// UUID is the partition table's.
	UUID string
	// Arch is the architecture that it boots.
	Arch       string
	Size       int64
	Partitions []layout.Placed
	// Time is that of all files on it.
	Time time.Time
	// Stage is what lies on the partition for it, GRUB what lies in GRUB's folder
	// besides its modules.
	Stage, GRUB Tree
	// Temp is a folder for what is needed until it is closed.
	Temp string
	// ESP is what lies on the EFI system partition if that is another boot loader than
	// GRUB, nil for GRUB.
	ESP []tree.File
	// MBR has a firmware that knows no GPT find that partition, by the MBR.
	MBR bool
}

// A Tree is files and folders; their paths are absolute on the stage's file system, and
// below GRUB's folder.
type Tree struct {
	Folders []tree.Folder
	Files   []tree.File
}

// Installed reports which programs, or parts of the boot loader, are not here that
// partitions of a machine of an architecture take.
func Installed(arch, loader string, partitions []layout.Partition) error {
	names, platforms := []string(nil), []string(nil)
	if loader == layout.Loader {
		names = bootcode.Programs()
	}
	makers := map[string][]string{layout.FAT: fat.Programs(), layout.Ext4: ext4.Programs(), layout.XFS: xfs.Programs(), layout.Btrfs: btrfs.Programs()}
	for _, p := range partitions {
		switch p.Role {
		case layout.ESP:
			platforms = append(platforms, bootcode.UEFI(arch))
		case layout.BIOS:
			platforms = append(platforms, bootcode.BIOS)
		}
		for _, name := range makers[p.Kind()] {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if loader != layout.Loader {
		return tool.Installed(names...)
	}
	return errors.Join(tool.Installed(names...), bootcode.Installed(platforms...))
}

// GRUBFolder says where GRUB's folder is: the role of its partition, and its path there.
func GRUBFolder(partitions []layout.Partition) (role, path string) {
	role = layout.GRUB(partitions)
	if role == layout.Stage {
		return role, "/boot/grub"
	}
	return role, "/grub"
}

// Room is how many bytes the partition of the stage takes at least, with a file system
// of a kind.
func (d Disk) Room(filesystem string) int64 {
	n := tree.Filesystem{Folders: d.Stage.Folders, Files: d.Stage.Files}.Room()
	if filesystem == layout.Btrfs {
		return n + n/20 + 192<<20 // its chunks, and what it notes twice
	}
	return n + n/50 + 128<<20 // what a file system takes itself, its journal, and GRUB
}

// Bytes is how much is copied.
func (d Disk) Bytes() (n int64) {
	for _, f := range d.Stage.Files {
		n += f.Size + int64(len(f.Text))
	}
	return n
}

// Lay makes all that there is besides what files hold, and says what lies where. The
// disk is closed when it was written.
func (d Disk) Lay(ctx context.Context) (*piece.Disk, error) {
	out := &piece.Disk{Size: d.Size, Table: gpt.Table{UUID: d.UUID}}
	for _, p := range d.Partitions {
		out.Table.Partitions = append(out.Table.Partitions, gpt.Partition{Type: p.Type, UUID: p.UUID, Name: p.Label, Start: p.Start, Length: p.Length, Grow: p.Grow, MBR: d.MBR && p.Role == layout.ESP})
	}
	m := maker{Disk: d}
	if m.ESP == nil {
		if err := m.withGRUB(); err != nil {
			return nil, err
		}
	}
	if err := m.partitions(ctx, &out.List); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// atOnce is how many partitions are made side by side: most of the time goes into starting
// the programs that make them.
const atOnce = 4

// partitions makes all, each with a list of its own.
func (m *maker) partitions(ctx context.Context, out *piece.List) error {
	lists := make([]piece.List, len(m.Partitions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, p := range m.Partitions {
		group.Go(func() error {
			if err := m.partition(ctx, p, &lists[i]); err != nil {
				return fmt.Errorf("make partition %d (%s): %w", i+1, p.Role, err)
			}
			return nil
		})
	}
	err := group.Wait()
	for _, l := range lists {
		out.Join(l)
	}
	return err
}

// A maker makes one disk.
type maker struct {
	Disk
	// boot is what lies on a partition of its own, esp what UEFI's has besides.
	boot, esp Tree
}

// has reports whether there is a partition of a role.
func (m *maker) has(role string) bool { return layout.Find(m.Partitions, role) != nil }

func (m *maker) folder() (*layout.Placed, string) {
	var all []layout.Partition
	for _, p := range m.Partitions {
		all = append(all, p.Partition)
	}
	role, folder := GRUBFolder(all)
	return layout.Find(m.Partitions, role), folder
}

// withGRUB puts GRUB's folder onto its partition.
func (m *maker) withGRUB() error {
	at, folder := m.folder()
	to := map[string]*Tree{layout.Stage: &m.Stage, layout.Boot: &m.boot, layout.ESP: &m.esp}[at.Role]
	to.Folders = append(slices.Clone(to.Folders), tree.Folder{Path: folder, Mode: 0o755})
	if parent := path.Dir(folder); parent != "/" {
		to.Folders = append(to.Folders, tree.Folder{Path: parent, Mode: 0o755})
	}
	files := slices.Clone(m.GRUB.Files)
	for role, platform := range map[string]string{layout.BIOS: bootcode.BIOS, layout.ESP: bootcode.UEFI(m.Arch)} {
		if !m.has(role) {
			continue
		}
		modules, err := bootcode.Modules(platform)
		if err != nil {
			return err
		}
		to.Folders = append(to.Folders, tree.Folder{Path: path.Join(folder, platform), Mode: 0o755})
		for _, name := range slices.Sorted(maps.Keys(modules)) {
			info, err := os.Stat(modules[name])
			if err != nil {
				return err
			}
			files = append(files, tree.File{Path: path.Join(platform, name), Source: modules[name], Size: info.Size(), Mode: 0o644})
		}
	}
	slices.SortFunc(files, func(a, b tree.File) int { return strings.Compare(a.Path, b.Path) })
	to.Files = slices.Clone(to.Files)
	for _, f := range files {
		f.Path = path.Join(folder, f.Path)
		to.Files = append(to.Files, f)
	}
	return nil
}

func (m *maker) partition(ctx context.Context, p layout.Placed, out *piece.List) error {
	switch {
	case m.ESP != nil && p.Role == layout.BIOS:
		return nil // no BIOS boots it
	case m.ESP != nil && p.Role == layout.ESP:
		return m.firmware(ctx, p, out, m.ESP...)
	}
	switch p.Role {
	case layout.BIOS:
		return m.core(ctx, bootcode.BIOS, func(core *os.File) error { return bootcode.Embed(out, core, p.Start, p.Length) })
	case layout.ESP:
		return m.core(ctx, bootcode.UEFI(m.Arch), func(core *os.File) error {
			return m.firmware(ctx, p, out, tree.File{Path: bootcode.Removable(m.Arch), Source: scratch.Path(core)})
		})
	case layout.Swap:
		header, err := swapHeader(p.Length, p.FSID, p.Label)
		out.Text(p.Start, header)
		return err
	}
	fs := tree.Filesystem{UUID: p.FSID, Label: p.Label, Seed: p.UUID, Time: m.Time}
	switch p.Role {
	case layout.Stage:
		fs.Folders, fs.Files = m.Stage.Folders, m.Stage.Files
	case layout.Boot:
		fs.Folders, fs.Files = m.boot.Folders, m.boot.Files
	}
	switch p.Filesystem {
	case layout.XFS:
		return xfs.Lay(ctx, fs, out, p.Start, p.Length)
	case layout.Btrfs:
		return btrfs.Lay(ctx, fs, out, p.Start, p.Length, m.Temp)
	}
	return ext4.Lay(ctx, fs, out, p.Start, p.Length)
}

// firmware makes what UEFI reads, with GRUB's folder if it is there.
func (m *maker) firmware(ctx context.Context, p layout.Placed, out *piece.List, files ...tree.File) error {
	esp := fat.Filesystem{ID: p.FSID, Label: p.Label, Time: m.Time, Files: map[string]string{}}
	for _, f := range slices.Concat(files, m.esp.Files) {
		if esp.Files[f.Path] = f.Source; f.Source != "" {
			continue
		}
		text, err := scratch.New(0)
		if err != nil {
			return err
		}
		defer text.Close()
		if _, err := text.Write(f.Text); err != nil {
			return err
		}
		esp.Files[f.Path] = scratch.Path(text)
	}
	return esp.Lay(ctx, out, p.Start, p.Length)
}

// core has what a firmware starts put where it is to be.
func (m *maker) core(ctx context.Context, platform string, put func(*os.File) error) error {
	at, folder := m.folder()
	core, err := bootcode.Core{UUID: at.Search(), Prefix: folder, Filesystem: at.Filesystem, Time: m.Time}.Make(ctx, platform)
	if err != nil {
		return err
	}
	return errors.Join(put(core), core.Close())
}
