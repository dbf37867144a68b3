package grub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/program"
)

// A featureWord is a place in a superblock where a file system notes which
// features it was made with. GRUB reads file systems by code of its own, which
// lags behind the kernel's.
type featureWord struct {
	at    int64
	bytes int
	order binary.ByteOrder
	// old are the features that GRUB reads since 2.06, new those since 2.12,
	// which some distributions' older ones read too.
	old, new uint64
	// unseen says that GRUB does not look at this word, and fails later.
	unseen bool
	names  map[uint64]string
}

// all is every feature but those given.
func all(but uint64) uint64 { return ^but }

var extWords = []featureWord{
	{ // s_feature_incompat of struct ext4_super_block, the kernel's fs/ext4/ext4.h
		at: 1024 + 0x60, bytes: 4, order: binary.LittleEndian, old: 0x103d6, new: 0x6000,
		names: map[uint64]string{
			0x400: "ea_inode", 0x1000: "dirdata", 0x2000: "metadata_csum_seed", 0x4000: "large_dir",
			0x8000: "inline_data", 0x20000: "casefold",
		},
	},
	{ // s_feature_ro_compat
		at: 1024 + 0x64, bytes: 4, order: binary.LittleEndian, old: all(0x200),
		names: map[uint64]string{0x200: "bigalloc"},
	},
}

var featureWords = map[string][]featureWord{
	"ext2": extWords, "ext3": extWords, "ext4": extWords,
	"xfs": {
		{ // sb_features_incompat of struct xfs_dsb, fs/xfs/libxfs/xfs_format.h
			at: 216, bytes: 4, order: binary.BigEndian, old: 0xf, new: 0x30,
			names: map[uint64]string{0x10: "needsrepair", 0x20: "nrext64", 0x40: "exchange", 0x80: "parent", 0x100: "metadir", 0x200: "zoned"},
		},
		{ // sb_versionnum
			at: 100, bytes: 2, order: binary.BigEndian, old: all(0x4000),
			names: map[uint64]string{0x4000: "ci"},
		},
	},
	"btrfs": {{ // incompat_flags of struct btrfs_super_block, include/uapi/linux/btrfs_tree.h
		at: 64<<10 + 188, bytes: 8, order: binary.LittleEndian, old: 0x10fff, unseen: true,
		names: map[uint64]string{0x1000: "zoned", 0x2000: "extent-tree-v2", 0x4000: "raid-stripe-tree"},
	}},
	"f2fs": {{ // feature of struct f2fs_super_block, include/linux/f2fs_fs.h
		at: 1024 + 2180, bytes: 4, order: binary.LittleEndian, old: all(0x8), unseen: true,
		names: map[uint64]string{0x8: "extra_attr"},
	}},
}

// doubts are features of a file system, by name: GRUB does not read any that
// are unread; ask are those that depend on which GRUB it is, and of these
// 2.12 does not read old.
type doubts struct{ unread, ask, old []string }

func findDoubts(fstype string, dev io.ReaderAt) (d doubts, err error) {
	for _, w := range featureWords[fstype] {
		has, err := w.read(dev)
		if err != nil {
			return d, err
		}
		for bit := uint64(1); bit != 0; bit <<= 1 {
			switch name := w.name(bit); {
			case has&bit&^w.old == 0:
			case w.unseen:
				d.unread = append(d.unread, name)
			default:
				d.ask = append(d.ask, name)
				if bit&w.new == 0 {
					d.old = append(d.old, name)
				}
			}
		}
	}
	return d, nil
}

func (w *featureWord) read(dev io.ReaderAt) (uint64, error) {
	buf := make([]byte, 8)
	if _, err := dev.ReadAt(buf[:w.bytes], w.at); err != nil {
		return 0, fmt.Errorf("read the superblock: %w", err)
	}
	switch w.bytes {
	case 2:
		return uint64(w.order.Uint16(buf)), nil
	case 4:
		return uint64(w.order.Uint32(buf)), nil
	}
	return w.order.Uint64(buf), nil
}

func (w *featureWord) name(bit uint64) string {
	if name := w.names[bit]; name != "" {
		return name
	}
	return fmt.Sprintf("%#x", bit)
}

// checkReadable refuses a file system that GRUB cannot read. Where that depends
// on the GRUB, it is asked: by grubReads the installed one.
func checkReadable(ctx context.Context, fstype, device string, ask func(context.Context, string) (bool, error)) error {
	f, err := os.Open(device)
	if err != nil {
		return fmt.Errorf("read the superblock: %w; only root can", err)
	}
	defer f.Close()
	d, err := findDoubts(fstype, f)
	if err != nil {
		return err
	}
	unread := d.unread
	if len(d.ask) > 0 {
		switch reads, err := ask(ctx, device); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // nobody to ask
			unread = append(unread, d.old...)
		case !reads && len(d.old) > 0: // these are enough to be the reason
			unread = append(unread, d.old...)
		case !reads:
			unread = append(unread, d.ask...)
		}
	}
	if len(unread) == 0 {
		return nil
	}
	return &unreadError{fstype, unread}
}

// An unreadError says that GRUB cannot read a file system that the kernel can.
type unreadError struct {
	fstype   string
	features []string
}

func (e *unreadError) Error() string {
	if len(e.features) == 0 {
		return fmt.Sprintf("GRUB is not known to read %q", e.fstype)
	}
	return fmt.Sprintf("GRUB cannot read its %s, which was made with %s; put the stage on one that was made without (mkfs.%s %s)",
		e.fstype, strings.Join(e.features, " and "), e.fstype, without(e.fstype, e.features))
}

// without returns what makes a file system without features.
func without(fstype string, features []string) string {
	switch fstype {
	case "xfs":
		return "with " + strings.Join(features, "=0 and ") + "=0"
	case "f2fs":
		return "without -O " + strings.Join(features, ",")
	}
	return "-O ^" + strings.Join(features, ",^")
}

const fstestTimeout = 30 * time.Second

var errNoFstest = errors.New("GRUB's grub-fstest is not installed or does not say")

// grubReads asks the installed GRUB's reader whether it knows the file system.
func grubReads(ctx context.Context, device string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, fstestTimeout)
	defer cancel()
	for _, name := range []string{"grub-fstest", "grub2-fstest"} {
		out, err := program.Command(ctx, name, device, "ls", "(loop0)").Output()
		switch {
		case err != nil:
		case strings.Contains(string(out), "Filesystem type"):
			return true, nil
		case strings.Contains(string(out), "No known filesystem"):
			return false, nil
		}
	}
	return false, errNoFstest
}
