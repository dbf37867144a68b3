package initramfs_test

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/initramfs/modindex"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/need"
)

const version = "6.1.0-1-test"

// image lists a kernel with a few modules, in every form that distributions
// use.
func image(t *testing.T, more ...entry) []entry {
	t.Helper()
	dir := "usr/lib/modules/" + version + "/"
	k := dir + "kernel/"
	return append([]entry{
		{name: "lib", link: "usr/lib"},
		{name: "boot/vmlinuz-" + version, data: "kernel"},
		{name: dir + "modules.builtin", data: "kernel/drivers/block/loop.ko\nkernel/fs/nls/nls_utf8.ko\n"},
		{name: dir + "build", link: "/usr/src/gone"},
		{name: k + "fs/overlayfs/overlay.ko", data: ko(nil)},
		{name: k + "fs/squashfs/squashfs.ko.xz", data: xzip(t, ko([]string{"zstd_decompress_stream"}))},
		{name: k + "fs/ext4/ext4.ko.zst", data: zstdip(t, ko(nil, "depends=mbcache,jbd2", "softdep=pre: crc32c"))},
		{name: k + "fs/mbcache.ko", data: ko(nil)},
		{name: k + "fs/jbd2/jbd2.ko.gz", data: gzipped(t, ko(nil))},
		{name: k + "fs/nfs/nfs.ko", data: ko(nil)},
		{name: k + "crypto/crc32c_generic.ko", data: ko(nil, "alias=crc32c", "alias=crypto-crc32c")},
		{name: k + "drivers/scsi/scsi_mod.ko", data: ko(nil)},
		{name: k + "drivers/scsi/sd_mod.ko", data: ko(nil, "depends=scsi_mod", "alias=scsi:t-0x00*")},
		{name: k + "drivers/scsi/raid-x.ko", data: ko([]string{"scsi_add_host_with_dma"}, "depends=scsi_mod", "alias=pci:v0000AAAAd*")},
		{name: k + "drivers/scsi/blob.ko", data: ko([]string{"scsi_add_host_with_dma"}, "alias=pci:v0000BBBBd*", "firmware=blob.bin")},
		{name: k + "drivers/scsi/debug.ko", data: ko([]string{"scsi_add_host_with_dma"})},
		{name: k + "drivers/scsi/helper.ko", data: ko([]string{"printk"}, "alias=pci:v0000CCCCd*")},
		{name: k + "drivers/scsi/san.ko", data: ko([]string{"scsi_add_host_with_dma"}, "depends=netdrv", "alias=pci:v0000DDDDd*")},
		{name: k + "drivers/net/netdrv.ko", data: ko(nil)},
		{name: k + "drivers/mmc/host/sdhci-acpi.ko", data: ko([]string{"mmc_add_host"}, "alias=acpi*:80860F14:*")},
	}, more...)
}

func zstdip(t *testing.T, s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func gzipped(t *testing.T, s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.String()
}

func xzip(t *testing.T, s string) string {
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.String()
}

func build(t *testing.T, tree *rootfs.Tree, o initramfs.Options) ([]byte, initramfs.Stats, error) {
	t.Helper()
	if o.Init == "" {
		o.Init = filepath.Join(t.TempDir(), "init")
		writeFile(t, o.Init, []byte("the init program"))
	}
	k, err := initramfs.FindKernel(tree, "")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	stats, err := initramfs.Build(t.Context(), tree, k, o, &b)
	return b.Bytes(), stats, err
}

func unzstd(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBuild(t *testing.T) {
	need.Programs(t, "cpio")
	tree := openTree(t, image(t))
	packed, stats, err := build(t, tree, initramfs.Options{Modules: []string{"nfs"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("cpio", "-idm", "--quiet", "--no-absolute-filenames", "init", "gitboot-modules", "lib/*", "proc")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(unzstd(t, packed))
	run(t, cmd)
	x, err := modindex.Parse(read(t, filepath.Join(dir, "gitboot-modules")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range x.Modules {
		line := modindex.Name(m.Path)
		for _, n := range m.Before {
			line += " <" + modindex.Name(x.Modules[n].Path)
		}
		for _, n := range m.After {
			line += " >" + modindex.Name(x.Modules[n].Path)
		}
		got = append(got, line)
		if !strings.HasPrefix(read(t, filepath.Join(dir, x.Dir, m.Path)), "\x7fELF") {
			t.Errorf("%s is not an expanded module", m.Path)
		}
	}
	want := []string{"crc32c_generic", "sdhci_acpi", "raid_x <scsi_mod", "scsi_mod >sd_mod", "sd_mod <scsi_mod",
		"ext4 <crc32c_generic <mbcache <jbd2", "jbd2", "mbcache", "nfs", "overlay", "squashfs"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"loop", "nls_utf8"}, x.BuiltIn); d != "" {
		t.Error(d)
	}
	if stats.Modules != len(want) || stats.Compression != "zstd" || stats.Bytes != int64(len(packed)) {
		t.Errorf("stats are %+v for %d bytes", stats, len(packed))
	}
	again, _, err := build(t, tree, initramfs.Options{Modules: []string{"nfs"}})
	if err != nil || !bytes.Equal(packed, again) {
		t.Errorf("a second build differs: %v", err)
	}
}

// Modules that have no room in memory are read again when they are written, and are the same.
func TestBuildOfLargeModules(t *testing.T) {
	need.Programs(t, "cpio")
	modules := func(nfs string) map[string]string {
		above := entry{name: "usr/lib/modules/" + version + "/kernel/fs/nfs/nfs.ko", data: nfs}
		packed, _, err := build(t, openTree(t, image(t), []entry{above}), initramfs.Options{Modules: []string{"nfs"}})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		cmd := exec.Command("cpio", "-idm", "--quiet", "--no-absolute-filenames", "lib/*")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(unzstd(t, packed))
		run(t, cmd)
		out := make(map[string]string)
		err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				out[path.Base(name)] = read(t, filepath.Join(dir, name))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	large := ko(nil) + strings.Repeat("debugging information ", 1<<20)
	kept, again := modules(ko(nil)), modules(large)
	if again["nfs.ko"] != large {
		t.Error("the large module is another one")
	}
	kept["nfs.ko"] = large
	if len(kept) != 11 || !maps.Equal(kept, again) {
		t.Errorf("%d modules kept in memory differ from %d read again", len(kept), len(again))
	}
}

func TestBuildForOldKernel(t *testing.T) {
	config := entry{name: "boot/config-" + version, data: "CONFIG_BLK_DEV_INITRD=y\nCONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZSTD=y\n" +
		"CONFIG_SQUASHFS_XATTR=y\nCONFIG_OVERLAY_FS=m\nCONFIG_BLK_DEV_LOOP=y\nCONFIG_TMPFS=y\nCONFIG_DEVTMPFS=y\n# CONFIG_RD_ZSTD is not set\n"}
	packed, stats, err := build(t, openTree(t, image(t, config)), initramfs.Options{})
	if err != nil || stats.Compression != "gzip" || !bytes.HasPrefix(packed, []byte{0x1f, 0x8b}) {
		t.Errorf("without CONFIG_RD_ZSTD: %+v, %v", stats, err)
	}
	config.data = strings.Replace(config.data, "CONFIG_SQUASHFS_ZSTD=y", "", 1)
	if _, _, err := build(t, openTree(t, image(t, config)), initramfs.Options{}); err == nil || !strings.Contains(err.Error(), "CONFIG_SQUASHFS_ZSTD") {
		t.Errorf("without zstd in squashfs: %v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := "usr/lib/modules/" + version
	for name, c := range map[string]struct {
		above   []entry
		modules []string
		want    string
	}{
		"no modules":       {above: []entry{{name: dir, whiteout: true}}, want: "/lib/modules/" + version},
		"no builtin list":  {above: []entry{{name: dir + "/modules.builtin", whiteout: true}}, want: "built in"},
		"no overlay":       {above: []entry{{name: dir + "/kernel/fs/overlayfs", whiteout: true}}, want: "overlay"},
		"missing need":     {above: []entry{{name: dir + "/kernel/fs/mbcache.ko", whiteout: true}}, want: "mbcache"},
		"no zstd":          {above: []entry{{name: dir + "/kernel/fs/squashfs/squashfs.ko.xz", whiteout: true}, {name: dir + "/kernel/fs/squashfs/squashfs.ko", data: ko(nil)}}, want: "CONFIG_SQUASHFS_ZSTD"},
		"unknown extra":    {modules: []string{"nosuch"}, want: "nosuch"},
		"module not ELF":   {above: []entry{{name: dir + "/kernel/fs/mbcache.ko", data: "text"}}, want: "mbcache.ko"},
		"module cut short": {above: []entry{{name: dir + "/kernel/fs/squashfs/squashfs.ko.xz", data: "\xfd7zXZ\x00"}}, want: "squashfs.ko.xz"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := openTree(t, image(t), append(c.above, entry{name: "etc/x"}))
			_, _, err := build(t, tree, initramfs.Options{Modules: c.modules})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestKey(t *testing.T) {
	init := filepath.Join(t.TempDir(), "init")
	writeFile(t, init, []byte("one"))
	key := func(o initramfs.Options, layers ...[]entry) string {
		tree := openTree(t, layers...)
		k, err := initramfs.FindKernel(tree, "")
		if err != nil {
			t.Fatal(err)
		}
		key, err := initramfs.Key(tree, k, o)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	o := initramfs.Options{Init: init}
	base := key(o, image(t))
	if key(o, image(t), []entry{{name: "etc/hostname", data: "x"}, {name: "usr/lib/other", data: "x"}}) != base {
		t.Error("a layer with neither kernel nor modules changes the key")
	}
	if key(o, image(t), []entry{{name: "usr/lib/modules/" + version + "/updates/x.ko", data: "x"}}) == base {
		t.Error("a layer with a module leaves the key")
	}
	if key(initramfs.Options{Init: init, Modules: []string{"nfs"}}, image(t)) == base {
		t.Error("another module leaves the key")
	}
	writeFile(t, init, []byte("two"))
	if key(o, image(t)) == base {
		t.Error("another init leaves the key")
	}
}
