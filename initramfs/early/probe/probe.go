// Package probe recognises file systems by their superblocks: ext2, ext3,
// ext4, xfs, btrfs, f2fs, vfat and iso9660, with UUID and label as blkid(8) prints
// them; and the partition UUIDs of GPT and MBR tables.
//
// It reads what may lie on any disk, so it trusts nothing: whatever the bytes
// are, the result is an identity or none, never a panic.
package probe

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// A Filesystem is what a superblock says of itself.
type Filesystem struct {
	Type  string // as mount(2) takes it
	UUID  string
	Label string
}

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// Identify reads the superblock of a block device; ok is false if it holds
// none of the known file systems or can't be read.
func Identify(dev io.ReaderAt) (fs Filesystem, ok bool) {
	head := make([]byte, 4096)
	if _, err := dev.ReadAt(head, 0); err != nil {
		return fs, false
	}
	for _, known := range []func([]byte) (Filesystem, bool){ext, xfs, f2fs, vfat, crypto} {
		if fs, ok := known(head); ok {
			return fs, true
		}
	}
	if _, err := dev.ReadAt(head[:isoSector], 16*isoSector); err != nil {
		return fs, false
	}
	if fs, ok := iso9660(head); ok {
		return fs, true
	}
	if _, err := dev.ReadAt(head, 64<<10); err != nil {
		return fs, false
	}
	return btrfs(head)
}

// ext follows the kernel's fs/ext4/ext4.h, struct ext4_super_block.
func ext(b []byte) (Filesystem, bool) {
	b = b[1024:]
	if le.Uint16(b[0x38:]) != 0xef53 {
		return Filesystem{}, false
	}
	const (
		hasJournal   = 0x4
		journalDev   = 0x8
		ext3Incompat = 0x2 | 0x4 | 0x10 // filetype, recover, meta_bg
		ext3ROCompat = 0x1 | 0x2 | 0x4  // sparse_super, large_file, btree_dir
	)
	compat, incompat, roCompat := le.Uint32(b[0x5c:]), le.Uint32(b[0x60:]), le.Uint32(b[0x64:])
	fs := Filesystem{Type: "ext4", UUID: uuid(b[0x68:0x78]), Label: text(b[0x78:0x88])}
	switch {
	case incompat&journalDev != 0:
		return Filesystem{}, false
	case incompat&^ext3Incompat != 0 || roCompat&^ext3ROCompat != 0:
	case compat&hasJournal != 0:
		fs.Type = "ext3"
	default:
		fs.Type = "ext2"
	}
	return fs, true
}

// xfs follows fs/xfs/libxfs/xfs_format.h, struct xfs_dsb.
func xfs(b []byte) (Filesystem, bool) {
	if string(b[:4]) != "XFSB" {
		return Filesystem{}, false
	}
	return Filesystem{Type: "xfs", UUID: uuid(b[32:48]), Label: text(b[108:120])}, true
}

// f2fs follows include/linux/f2fs_fs.h, struct f2fs_super_block; the label is
// UTF-16.
func f2fs(b []byte) (Filesystem, bool) {
	b = b[1024:]
	if le.Uint32(b) != 0xf2f52010 {
		return Filesystem{}, false
	}
	var label []rune
	for at := 124; at < 124+1024; at += 2 {
		c := le.Uint16(b[at:])
		if c == 0 {
			break
		}
		label = append(label, rune(c))
	}
	return Filesystem{Type: "f2fs", UUID: uuid(b[108:124]), Label: string(label)}, true
}

// btrfs follows include/uapi/linux/btrfs_tree.h, struct btrfs_super_block,
// which lies at 64 KiB.
func btrfs(b []byte) (Filesystem, bool) {
	if string(b[64:72]) != "_BHRfS_M" {
		return Filesystem{}, false
	}
	return Filesystem{Type: "btrfs", UUID: uuid(b[32:48]), Label: text(b[299:555])}, true
}

// vfat follows Microsoft's FAT specification; FAT32's fields lie elsewhere
// than those of FAT12 and FAT16.
func vfat(b []byte) (Filesystem, bool) {
	if b[510] != 0x55 || b[511] != 0xaa {
		return Filesystem{}, false
	}
	at := 0
	switch {
	case string(b[82:87]) == "FAT32":
		at = 67
	case string(b[54:57]) == "FAT":
		at = 39
	default:
		return Filesystem{}, false
	}
	label := strings.TrimRight(text(b[at+4:at+15]), " ")
	if label == "NO NAME" {
		label = ""
	}
	serial := le.Uint32(b[at:])
	return Filesystem{Type: "vfat", UUID: fmt.Sprintf("%04X-%04X", serial>>16, serial&0xffff), Label: label}, true
}

// Encrypted is the type of what LUKS has encrypted.
const Encrypted = "crypto_LUKS"

// crypto follows LUKS1's and LUKS2's on-disk formats, which have the UUID at one place.
func crypto(b []byte) (Filesystem, bool) {
	version := be.Uint16(b[6:])
	if string(b[:6]) != "LUKS\xba\xbe" || version != 1 && version != 2 {
		return Filesystem{}, false
	}
	fs := Filesystem{Type: Encrypted, UUID: text(b[168:208])}
	if version == 2 {
		fs.Label = text(b[24:72])
	}
	return fs, fs.UUID != ""
}

// isoSector is what CDs are counted in.
const isoSector = 2048

// iso9660 follows ECMA-119, section 8.4; the UUID is when it was changed, else made, as
// blkid and GRUB have it.
func iso9660(b []byte) (Filesystem, bool) {
	if string(b[:6]) != "\x01CD001" {
		return Filesystem{}, false
	}
	changed, made := b[830:846], b[813:829]
	fs := Filesystem{Type: "iso9660", Label: strings.TrimRight(text(b[40:72]), " ")}
	for _, t := range [][]byte{changed, made} {
		if s := string(t); strings.Trim(s, "0") != "" && strings.Trim(s, "0123456789") == "" {
			fs.UUID = strings.Join([]string{s[:4], s[4:6], s[6:8], s[8:10], s[10:12], s[12:14], s[14:16]}, "-")
			break
		}
	}
	return fs, true
}

func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

func uuid(b []byte) string {
	h := hex.EncodeToString(b[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
