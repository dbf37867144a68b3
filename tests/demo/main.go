// Demo shows gitboot's whole way, with nothing faked: a commit to a config
// repo becomes a machine that boots what the commit says, then a second commit
// changes the machine.
//
// It makes a Debian root file system, pushes it as an image to a registry in
// this process, lets `gitboot reconcile` stage it on a disk image that GRUB
// boots, and starts that disk in QEMU, whose console tells what came up. It
// asks nothing and leaves nothing behind but the cache.
//
//	make demo            as root, on Debian or Ubuntu
//	make demo-disk       the config repo becomes a signed disk, which boots by itself
//	make demo-install    the config repo becomes a medium, which installs a machine by itself
//	go run ./tests/demo -console   show the machine's whole console
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

func main() {
	console := flag.Bool("console", false, "show the machine's whole console")
	steps := (*demo).steps
	flag.BoolFunc("disk", "make a signed disk that boots by itself", func(string) error {
		steps = (*demo).diskSteps
		return nil
	})
	flag.BoolFunc("install", "make a medium that installs a machine by itself", func(string) error {
		steps = (*demo).installSteps
		return nil
	})
	flag.Parse()
	if err := run(*console, steps); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func run(console bool, steps func(*demo) []step) error {
	if err := lab.Begin("mounts disk images", "demo"); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var show io.Writer
	if console {
		show = os.Stdout
	}
	d, err := newDemo(show)
	if err != nil {
		return err
	}
	return d.run(ctx, os.Stdout, steps(d))
}

// A step is one line of the table at the end.
type step struct {
	name string
	// do returns what happened, in a few words.
	do func(context.Context) (string, error)
}

func (d *demo) steps() []step {
	return []step{
		{"build gitboot", d.build},
		{"root file system", d.makeRootFS},
		{"choose KVM or emulation", d.chooseAccel},
		{"push it as an image", d.push},
		{"config repo", d.makeConfig},
		{"disk with GRUB", d.makeDisk},
		{"gitboot reconcile", d.reconcile},
		{"boot", d.boot("laptop")},
		{"commit a new host name", d.rename("laptop", "atlas")},
		{"gitboot plan", d.plan},
		{"gitboot reconcile again", d.reconcile},
		{"boot again", d.boot("atlas")},
	}
}

// run plays the steps, cleans up, and writes the table.
func (d *demo) run(ctx context.Context, out io.Writer, steps []step) error {
	err := d.play(ctx, steps)
	if cleanErr := d.close(); err == nil {
		err = cleanErr
	}
	if err != nil {
		return err
	}
	return d.table(out)
}

// A result is what a step came to.
type result struct {
	name, what string
	took       time.Duration
}

func (d *demo) play(ctx context.Context, steps []step) error {
	for _, s := range steps {
		fmt.Printf("\n==> %s\n", s.name)
		began := time.Now()
		what, err := s.do(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted; everything was cleaned up")
			}
			return fmt.Errorf("%s: %w", s.name, err)
		}
		took := time.Since(began)
		fmt.Printf("    %s (%.1f s)\n", what, took.Seconds())
		d.results = append(d.results, result{s.name, what, took})
	}
	return nil
}

func (d *demo) table(w io.Writer) error {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var total time.Duration
	for _, r := range d.results {
		fmt.Fprintf(t, "%.1f s\t", r.took.Seconds())
		fmt.Fprintf(t, " %s\n", r.name+": "+r.what)
		total += r.took
	}
	fmt.Fprintf(t, "%.1f s\t in all\n", total.Seconds())
	return t.Flush()
}

// newDemo takes the demo's folder, in the cache because it needs a few hundred
// megabytes on a disk. What a killed demo left there is removed.
//
// The machines' consoles are copied to console, which may be nil.
func newDemo(console io.Writer) (*demo, error) {
	cache, err := lab.CacheDir()
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(cache, "demo.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another demo is running (%s is locked); wait for it to end", lock.Name()), lock.Close())
	}
	d := &demo{dir: filepath.Join(cache, "demo"), log: filepath.Join(cache, "demo-console.log"), lock: lock, console: console}
	if err := os.RemoveAll(d.dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, os.MkdirAll(d.dir, 0o700)
}

// close stops and removes everything but the cache.
func (d *demo) close() error {
	var errs []error
	if d.registry != nil {
		errs = append(errs, d.registry.Close())
	}
	if d.disk != nil {
		errs = append(errs, d.disk.Unmount())
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir), d.lock.Close())...)
}
