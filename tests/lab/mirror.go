package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Mirror is a software RAID of level 1 of two files, made by mdadm in a machine, as it
// takes a kernel with md.
type Mirror struct {
	// UUID is the array's, as blkid writes it.
	UUID  string
	Files [2]string
	// Offset and Size are where the data of each file lie, in bytes.
	Offset, Size int64
}

// MirrorOptions says what mirror to make. Metadata must be set.
type MirrorOptions struct {
	// Metadata is the version, such as 1.2.
	Metadata string
	// Number is that of the device /dev/mdN, by which one array differs from another.
	Number int
	// SizeMB is that of a member, 256 if 0.
	SizeMB int
}

// uuid is the array's, in four words.
func (o MirrorOptions) uuid() string {
	return fmt.Sprintf("5a1c0f2b:9d3e4f60:8172a3b4:c5d6e7%02x", 0xf8+o.Number)
}

// NewMirror makes an array in two files.
func NewMirror(ctx context.Context, o MirrorOptions, a, b string) (*Mirror, error) {
	o.SizeMB = cmp.Or(o.SizeMB, 256)
	made, err := cached(ctx, fmt.Sprintf("mirror-%s-%d-%d.img", o.Metadata, o.Number, o.SizeMB), func(temp string) error { return o.make(ctx, temp) })
	if err != nil {
		return nil, err
	}
	m := &Mirror{UUID: hyphened(o.uuid()), Files: [2]string{a, b}}
	for i, file := range m.Files {
		if _, err := Run(ctx, "dd", "status=none", "conv=sparse", "bs=1M", fmt.Sprintf("count=%d", o.SizeMB), fmt.Sprintf("skip=%d", o.SizeMB*i), "if="+made, "of="+file); err != nil {
			return nil, err
		}
		if err := os.Truncate(file, int64(o.SizeMB)<<20); err != nil {
			return nil, err
		}
	}
	out, err := m.Examine(ctx, 0)
	if err != nil {
		return nil, err
	}
	number := func(pattern string) int64 {
		found := regexp.MustCompile(pattern).FindStringSubmatch(out)
		if found == nil {
			return 0
		}
		n, _ := strconv.ParseInt(found[1], 10, 64) // digits alone
		return n
	}
	m.Offset, m.Size = number(`Data Offset : (\d+) sectors`)*sector, number(`Array Size : (\d+) `)<<10
	if m.Size == 0 {
		return nil, fmt.Errorf("mdadm says nothing of the array's size: %s", out)
	}
	return m, nil
}

// Examine is what mdadm tells of a member.
func (m *Mirror) Examine(ctx context.Context, i int) (string, error) {
	return Run(ctx, "mdadm", "--examine", m.Files[i])
}

// Fill makes both files' data what is read, from the beginning.
func (m *Mirror) Fill(from io.Reader) error {
	to, err := os.OpenFile(m.Files[0], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(to, m.Offset), from)
	return errors.Join(err, to.Close(), m.Copy())
}

// Copy makes the data of the second file those of the first, as if the array had run.
func (m *Mirror) Copy() error {
	from, err := os.Open(m.Files[0])
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(m.Files[1], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(to, m.Offset), io.NewSectionReader(from, m.Offset, m.Size))
	return errors.Join(err, to.Close())
}

// hyphened is a UUID as blkid writes it, of the four words that mdadm has for it.
func hyphened(words string) string {
	h := strings.ReplaceAll(words, ":", "")
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// make has a machine make both members, one after the other in a file.
func (o MirrorOptions) make(ctx context.Context, file string) error {
	dir, err := os.MkdirTemp("", "gitboot-mirror-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	initrd, err := o.initrd(ctx, dir)
	if err != nil {
		return err
	}
	kernel, err := Kernel(ctx)
	if err != nil {
		return err
	}
	var files [2]string
	for i := range files {
		files[i] = filepath.Join(dir, strconv.Itoa(i))
		if err := errors.Join(os.WriteFile(files[i], nil, 0o600), os.Truncate(files[i], int64(o.SizeMB)<<20)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	vm, err := StartVM(ctx, VMOptions{Disk: files[0], More: files[1:], Kernel: kernel, Initrd: initrd, Append: "console=ttyS0 panic=1 quiet"})
	if err != nil {
		return err
	}
	if _, err := vm.WaitFor(ctx, regexp.MustCompile(`lab: the array is made`)); err != nil {
		return errors.Join(err, vm.Stop())
	}
	if err := vm.Wait(ctx); err != nil {
		return err
	}
	for i, member := range files {
		if _, err := Run(ctx, "dd", "status=none", "conv=sparse,notrunc", "bs=1M", fmt.Sprintf("seek=%d", o.SizeMB*i), "if="+member, "of="+file); err != nil {
			return err
		}
	}
	return os.Truncate(file, 2*int64(o.SizeMB)<<20)
}

// mirrorModules are what its kernel needs, in the order in which they are loaded.
var mirrorModules = []string{
	"drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci_modern_dev",
	"drivers/virtio/virtio_pci", "drivers/block/virtio_blk", "drivers/md/md-mod", "drivers/md/raid1",
}

// initrd makes an initramfs with mdadm, whose init makes the array and ends.
func (o MirrorOptions) initrd(ctx context.Context, dir string) (string, error) {
	rootfs, err := RootFS(ctx, Bookworm)
	if err != nil {
		return "", err
	}
	root := filepath.Join(dir, "root")
	if err := errors.Join(os.Mkdir(root, 0o755), os.Mkdir(filepath.Join(root, "m"), 0o755)); err != nil {
		return "", err
	}
	script := "#!/bin/busybox sh\nexport PATH=/bin:/sbin\n/bin/busybox --install -s /bin\nmkdir -p proc sys dev run tmp\nmount -t proc proc proc\nmount -t sysfs sys sys\nmount -t devtmpfs dev dev\n"
	args := []string{"-C", filepath.Join(root, "m"), "--wildcards", "--transform", "s|.*/||", "-xf", rootfs}
	for _, module := range mirrorModules {
		args = append(args, "./usr/lib/modules/*/kernel/"+module+".ko")
		script += "insmod /m/" + filepath.Base(module) + ".ko\n"
	}
	array := fmt.Sprintf("/dev/md%d", o.Number)
	script += fmt.Sprintf("mdadm --create %s --run --assume-clean --bitmap=none --homehost=lab --name=%d --uuid=%s --metadata=%s", array, o.Number, o.uuid(), o.Metadata) +
		" --level=1 --raid-devices=2 /dev/vda /dev/vdb && echo lab: the array is made >/dev/console\nmdadm --stop " + array + "\npoweroff -f\n"
	if _, err := Run(ctx, "tar", args...); err != nil {
		return "", err
	}
	programs, err := withLibraries(ctx, "/usr/sbin/mdadm")
	if err != nil {
		return "", err
	}
	for name, from := range programs {
		if err := copyInto(root, name, from); err != nil {
			return "", err
		}
	}
	err = errors.Join(copyInto(root, "bin/busybox", "/bin/busybox"), copyInto(root, "sbin/mdadm", "/usr/sbin/mdadm"), os.WriteFile(filepath.Join(root, "init"), []byte(script), 0o755))
	if err != nil {
		return "", err
	}
	initrd := filepath.Join(dir, "initrd")
	pack := exec.CommandContext(ctx, "sh", "-c", `find . | cpio --quiet -o -H newc >"$0"`, initrd)
	pack.Dir = root
	if out, err := pack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cpio: %w: %s", err, out)
	}
	return initrd, nil
}

// withLibraries are the libraries that a program is linked with, by their paths.
func withLibraries(ctx context.Context, program string) (map[string]string, error) {
	out, err := Run(ctx, "ldd", program)
	if err != nil {
		return nil, fmt.Errorf("%w; run tests/deps.sh test", err)
	}
	files := map[string]string{}
	for _, word := range strings.Fields(out) {
		if strings.HasPrefix(word, "/") {
			files[strings.TrimPrefix(word, "/")] = word
		}
	}
	return files, nil
}

func copyInto(root, name, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("%w; run tests/deps.sh test", err)
	}
	to := filepath.Join(root, name)
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o755))
}
