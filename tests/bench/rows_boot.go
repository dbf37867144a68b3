package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// markerInit is the image's init in the boots that are compared: it tells the
// kernel's log that it runs, which is the same moment whoever entered it.
const (
	markerPath = "/sbin/bench-init"
	markerInit = `#!/bin/sh
[ -c /dev/kmsg ] || mount -t devtmpfs dev /dev
echo "<5>bench: the image's init runs" > /dev/kmsg
while :; do sleep 60; done
`
)

// What the two boots print. Every line begins with the kernel's own time.
var (
	runInit     = regexp.MustCompile(`\[ *(\d+\.\d+)\] Run /init as init process`)
	imagesInit  = regexp.MustCompile(`\[ *(\d+\.\d+)\] bench: the image's init runs`)
	ourEnter    = regexp.MustCompile(`\[ *(\d+\.\d+)\] gitboot(?:-init)?: entering `)
	theirSwitch = regexp.MustCompile(`\[ *(\d+\.\d+)\] systemd-journald\[\d+\]: Received SIGTERM from PID 1`)
)

// bootLimit is many times what a boot takes under software emulation.
const bootLimit = 5 * time.Minute

// A bootable is a disk with a stage, from which both initramfs boot the same
// squashfs.
type bootable struct {
	disk           *lab.Disk
	accel          lab.Accel
	console        string // file that keeps the last machine's console
	kernel         string
	ours, theirs   string // initramfs
	args, peerArgs string
}

func bootDracut(ctx context.Context, s *site, r row) (result, error) {
	b, err := s.newBootable(ctx)
	if err != nil {
		return result{}, err
	}
	var entered, switched []float64
	ours := side{command: "qemu … -kernel K -initrd INITRAMFS -append '" + b.args + "'", run: func(ctx context.Context, _ int) (usage, error) {
		return b.boot(ctx, b.ours, b.args, ourEnter, &entered)
	}}
	theirs := side{command: "dracut --no-hostonly --zstd --add dmsquash-live; qemu … -append '" + b.peerArgs + "'", run: func(ctx context.Context, _ int) (usage, error) {
		return b.boot(ctx, b.theirs, b.peerArgs, theirSwitch, &switched)
	}}
	res, err := timed(ctx, r, ours, theirs, func(ratio float64) check { return fasterBy(ratio, 12) })
	if err != nil {
		return res, err
	}
	res.Ours, res.Theirs = wallOf(res.Pairs, pair.ours), wallOf(res.Pairs, pair.theirs)
	res.Note = fmt.Sprintf("QEMU with %s. Times are the kernel's own, from `Run /init` to the first line of the image's init, the same script in both. "+
		"The last words before that came after %s (ours, \"entering\") and %s (dracut, whose systemd then ends its journal).",
		b.accel, seconds(median(entered[1:])), seconds(median(switched[1:])))
	return res, nil
}

func wallOf(pairs []pair, of func(pair) usage) string {
	return seconds(medianOf(pairs, func(p pair) int64 { return int64(of(p).Wall) }) / 1e9)
}

// boot starts the machine and reads the times off its console.
func (b *bootable) boot(ctx context.Context, initrd, args string, leaving *regexp.Regexp, left *[]float64) (_ usage, err error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	log, err := os.Create(b.console)
	if err != nil {
		return usage{}, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	vm, err := lab.StartVM(ctx, lab.VMOptions{
		Disk: b.disk.Path, Kernel: b.kernel, Initrd: initrd, Append: args, Accel: b.accel, Snapshot: true, Console: log,
	})
	if err != nil {
		return usage{}, err
	}
	defer func() { err = errors.Join(err, vm.Stop()) }()
	var at []float64
	for _, line := range []*regexp.Regexp{runInit, leaving, imagesInit} {
		m, err := vm.WaitFor(ctx, line)
		if err != nil {
			return usage{}, err
		}
		t, err := strconv.ParseFloat(m.Groups[1], 64)
		if err != nil {
			return usage{}, err
		}
		at = append(at, t)
	}
	*left = append(*left, at[1]-at[0])
	return wallOnly(time.Duration((at[2] - at[0]) * float64(time.Second))), nil
}

// newBootable stages Debian and the marker, in one layer, on a disk, and has
// dracut make its initramfs for the same kernel.
func (s *site) newBootable(ctx context.Context) (*bootable, error) {
	b := &bootable{console: s.dir + "-console.log"}
	var err error
	if b.accel, err = lab.Accelerator(ctx); err != nil {
		return nil, err
	}
	marked := s.path("marked.tar")
	if err := appendMarker(s.rootfs, marked, markerInit); err != nil {
		return nil, err
	}
	ref, _, err := s.registry.Push(ctx, "marked:1", nil, lab.Layer{Path: marked})
	if err != nil {
		return nil, err
	}
	if b.disk, err = lab.NewDisk(ctx, s.path("disk.img"), lab.DiskOptions{}); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, b.disk.Unmount)
	if err := b.stage(ctx, s, ref); err != nil {
		return nil, err
	}
	return b, b.makePeer(ctx, s)
}

// stage reconciles onto the disk, and takes kernel and initramfs off it.
func (b *bootable) stage(ctx context.Context, s *site, ref string) error {
	mnt, err := b.disk.Mount(ctx)
	if err != nil {
		return err
	}
	w, err := s.newWorld(ctx, ref, "")
	if err != nil {
		return err
	}
	w.stage, w.boot = filepath.Join(mnt, "gitboot"), filepath.Join(mnt, "boot/grub")
	if _, err := w.reconcile(ctx); err != nil {
		return err
	}
	m, id, err := w.deployment()
	if err != nil {
		return err
	}
	b.kernel, b.ours = s.path("vmlinuz"), s.path("ours.img")
	if err := errors.Join(copyFile(filepath.Join(w.stage, m.Kernel.Path()), b.kernel),
		copyFile(filepath.Join(w.stage, m.Initramfs.Path()), b.ours)); err != nil {
		return err
	}
	common := "console=ttyS0 panic=30 init=" + markerPath
	line := deployment.Cmdline{Stage: deployment.Location{Device: "UUID=" + b.disk.UUID, Path: "/gitboot"}, Deployment: id}
	b.args = common + " " + strings.Join(line.Args(), " ")
	b.peerArgs = fmt.Sprintf("%s root=live:UUID=%s rd.live.dir=gitboot/objects/sha256 rd.live.squashimg=%s rd.live.overlay.overlayfs=1",
		common, b.disk.UUID, m.Layers[0].SHA256)
	return b.disk.Unmount()
}

// makePeer has dracut make a generic initramfs for live images.
func (b *bootable) makePeer(ctx context.Context, s *site) error {
	root, err := s.peerRoot(ctx, "dracut-live", dracut.packages, s.rootfs)
	if err != nil {
		return err
	}
	version, err := kernelVersion(root)
	if err != nil {
		return err
	}
	b.theirs = filepath.Join(root, "out")
	_, err = lab.Run(ctx, "chroot", root, "dracut", "--force", "--quiet", "--no-hostonly", "--zstd", "--add", "dmsquash-live", "/out", version)
	return err
}

// deployment returns the only one on the stage.
func (w *world) deployment() (*deployment.Manifest, string, error) {
	found, err := filepath.Glob(filepath.Join(w.stage, "deployments", "*.json"))
	if err != nil || len(found) != 1 {
		return nil, "", errors.Join(err, fmt.Errorf("%s has %d deployments instead of one", w.stage, len(found)))
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return nil, "", err
	}
	var m deployment.Manifest
	err = json.Unmarshal(data, &m)
	return &m, strings.TrimSuffix(filepath.Base(found[0]), ".json"), err
}

// appendMarker copies a root file system's tar and adds an init.
func appendMarker(from, to, init string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	r, w := tar.NewReader(in), tar.NewWriter(out)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
		if err := w.WriteHeader(h); err != nil {
			return errors.Join(err, out.Close())
		}
		if _, err := io.Copy(w, r); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	// Debian's /sbin is a link.
	err = writeFile(w, "./usr"+markerPath, 0o755, []byte(init))
	return errors.Join(err, w.Close(), out.Close())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return save(to, in)
}
