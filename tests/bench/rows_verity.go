package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// readerInit is an init that reads what programs and libraries there are, some of it
// for the first time since the machine was started.
const readerInit = `#!/bin/sh
[ -c /dev/kmsg ] || mount -t devtmpfs dev /dev
echo "<5>bench: the image's init runs" > /dev/kmsg
cat /usr/bin/* /usr/lib/x86_64-linux-gnu/*.so* > /dev/null 2>&1
echo "<5>bench: all is read" > /dev/kmsg
while :; do sleep 60; done
`

// rehearsedConfig is a machine whose image is judged as soon as its init runs.
const rehearsedConfig = `[image.os]
pull        = %q
insecure    = true
verity      = %q
kernel_args = ["init=` + markerPath + `"]

[machine.bench]
images = ["os"]
health = { after = "start", settle = "1s", deadline = "120s" }
`

var (
	allRead  = regexp.MustCompile(`\[ *(\d+\.\d+)\] bench: all is read`)
	isJudged = regexp.MustCompile(`\[ *(\d+\.\d+)\] gitboot-watcher: deployment \S+ is good`)
)

// A rehearsed is a deployment, and the disk on which gitboot vm boots it.
type rehearsed struct {
	*world
	disk, kernel, initrd, args string
	accel                      lab.Accel
}

// newRehearsed stages the reader with its layers verified, or not, and keeps the disk
// that is made of it.
func (s *site) newRehearsed(ctx context.Context, verity string) (r *rehearsed, err error) {
	ref, err := s.once("reader", func() (string, error) {
		marked := s.path("reader.tar")
		if err := appendMarker(s.rootfs, marked, readerInit); err != nil {
			return "", err
		}
		ref, _, err := s.registry.Push(ctx, "reader:1", nil, lab.Layer{Path: marked})
		return ref, err
	})
	if err != nil {
		return nil, err
	}
	r = &rehearsed{}
	if r.accel, err = lab.Accelerator(ctx); err != nil {
		return nil, err
	}
	if r.world, err = s.configured(ctx, fmt.Sprintf(rehearsedConfig, ref, verity)); err != nil {
		return nil, err
	}
	if _, err := r.reconcile(ctx); err != nil {
		return nil, err
	}
	r.disk = filepath.Join(filepath.Dir(r.stage), "disk.img")
	if _, err := r.rehearse(ctx, "--keep", r.disk); err != nil {
		return nil, err
	}
	return r, r.entry(ctx)
}

// rehearse is a boot test of it.
func (r *rehearsed) rehearse(ctx context.Context, more ...string) (usage, error) {
	return command(ctx, append([]string{r.site.gitboot, "vm", "os", "--until-good", "--json", "--stage", r.stage}, more...)...)
}

// entry finds out how the disk is booted by hand.
func (r *rehearsed) entry(ctx context.Context) error {
	m, id, err := r.deployment()
	if err != nil {
		return err
	}
	uuid, err := lab.Run(ctx, "blkid", "-o", "value", "-s", "UUID", r.disk)
	if err != nil {
		return err
	}
	line := deployment.Cmdline{Stage: deployment.Location{Device: "UUID=" + strings.TrimSpace(uuid), Path: "/gitboot"}, Deployment: id, Machine: "bench", Trying: true}
	r.args = strings.Join(append(line.Args(), "init="+markerPath, "console=ttyS0", "panic=1", "no_timer_check"), " ")
	r.kernel, r.initrd = filepath.Join(r.stage, m.Kernel.Path()), filepath.Join(r.stage, m.Initramfs.Path())
	return nil
}

// boot starts the machine and reads the kernel's times of lines off its console.
func (r *rehearsed) boot(ctx context.Context, lines ...*regexp.Regexp) (at []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	vm, err := lab.StartVM(ctx, lab.VMOptions{Disk: r.disk, Kernel: r.kernel, Initrd: r.initrd, Append: r.args, Accel: r.accel, MemoryMB: 2048, Snapshot: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, vm.Stop()) }()
	for _, line := range lines {
		m, err := vm.WaitFor(ctx, line)
		if err != nil {
			return nil, err
		}
		t, err := strconv.ParseFloat(m.Groups[1], 64)
		if err != nil {
			return nil, err
		}
		at = append(at, time.Duration(t*float64(time.Second)))
	}
	return at, nil
}

// reading is the side that boots it, and notes how long its init reads then.
func (r *rehearsed) reading(reads *[]float64) side {
	return side{command: "qemu … -append '" + r.args + "'", run: func(ctx context.Context, _ int) (usage, error) {
		at, err := r.boot(ctx, runInit, imagesInit, allRead)
		if err != nil {
			return usage{}, err
		}
		*reads = append(*reads, (at[2] - at[1]).Seconds())
		return wallOnly(at[1] - at[0]), nil
	}}
}

// verity compares boots whose layers are verified with boots of the same layers that
// are not.
func verity(ctx context.Context, s *site, r row) (result, error) {
	verified, err := s.newRehearsed(ctx, "enforce")
	if err != nil {
		return result{}, err
	}
	plain, err := s.newRehearsed(ctx, "off")
	if err != nil {
		return result{}, err
	}
	var ours, theirs []float64
	res, err := timed(ctx, r, verified.reading(&ours), plain.reading(&theirs), func(ratio float64) check { return atMost(ratio, 1.25) })
	if err != nil {
		return res, err
	}
	var ratios []float64
	for i := range ours[1:] {
		ratios = append(ratios, ours[i+1]/theirs[i+1])
	}
	reads := atMost(median(ratios), 1.5)
	reads.Target = "reading: " + reads.Target
	res.Checks = append(res.Checks, reads)
	res.Ours = wallOf(res.Pairs, pair.ours) + ", then " + seconds(median(ours[1:]))
	res.Theirs = wallOf(res.Pairs, pair.theirs) + ", then " + seconds(median(theirs[1:]))
	res.Note = fmt.Sprintf("QEMU with %s; the times are the kernel's own. Each boot reads for the first time, and unpacks what it reads.", verified.accel)
	return res, nil
}

// watched compares boots that a watcher judges with boots of the same deployment that
// nobody does.
func watched(ctx context.Context, s *site, r row) (result, error) {
	trying, err := s.newRehearsed(ctx, "off")
	if err != nil {
		return result{}, err
	}
	settled := *trying
	settled.args = strings.Replace(trying.args, " "+deployment.ParamTrying+"=1", "", 1)
	if settled.args == trying.args {
		return result{}, errors.New("the boot is not on trial: " + trying.args)
	}
	var reads []float64
	res, err := timed(ctx, r, trying.reading(&reads), settled.reading(&reads), func(ratio float64) check { return atMost(ratio, 1.25) })
	if err != nil {
		return res, err
	}
	res.Ours, res.Theirs = wallOf(res.Pairs, pair.ours), wallOf(res.Pairs, pair.theirs)
	res.Note = fmt.Sprintf("QEMU with %s; the times are the kernel's own. Ours writes the boot's record before the image's init runs, and leaves the watcher.", trying.accel)
	return res, nil
}

// bootTest compares a boot test with what it cannot do without.
func bootTest(ctx context.Context, s *site, r row) (result, error) {
	b, err := s.newRehearsed(ctx, "off")
	if err != nil {
		return result{}, err
	}
	ours := side{command: "gitboot vm os --until-good --stage STAGE", run: func(ctx context.Context, _ int) (usage, error) { return b.rehearse(ctx) }}
	theirs := side{command: "qemu … -append '" + b.args + "', until the watcher says that it is good", run: func(ctx context.Context, _ int) (usage, error) {
		began := time.Now()
		_, err := b.boot(ctx, isJudged)
		return wallOnly(time.Since(began)), err
	}}
	res, err := timed(ctx, r, ours, theirs, func(ratio float64) check { return atMost(ratio, 1.5) })
	if err != nil {
		return res, err
	}
	res.Theirs = wallOf(res.Pairs, pair.theirs)
	res.Note = fmt.Sprintf("QEMU with %s. Ours makes the disk, too, looks for the verdict each second, and ends the machine.", b.accel)
	return res, nil
}

// stageVerify compares it with the sums of the same files.
func stageVerify(ctx context.Context, s *site, r row) (result, error) {
	ref, err := s.image(ctx, "zstd")
	if err != nil {
		return result{}, err
	}
	w, err := s.newWorld(ctx, ref, "")
	if err != nil {
		return result{}, err
	}
	if _, err := w.reconcile(ctx); err != nil {
		return result{}, err
	}
	ours := side{command: "gitboot stage verify --stage STAGE", run: func(ctx context.Context, _ int) (usage, error) {
		return command(ctx, s.gitboot, "stage", "verify", "--stage", w.stage)
	}}
	theirs := side{command: "sha256sum STAGE/objects/sha256/*", run: func(ctx context.Context, _ int) (usage, error) {
		return script(ctx, "sha256sum "+filepath.Join(w.stage, "objects/sha256")+"/* >/dev/null")
	}}
	return timed(ctx, r, ours, theirs, func(ratio float64) check { return atMost(ratio, 1.2) })
}
