package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// A demo is what the steps hand on to each other.
type demo struct {
	dir     string // everything that is removed at the end
	log     string // the last machine's console, kept
	lock    *os.File
	console io.Writer // or nil

	gitboot  string
	rootfs   string
	accel    lab.Accel
	registry *lab.Registry
	image    string // reference
	repo     *lab.Repo
	disk     *lab.Disk
	results  []result
}

func (d *demo) build(ctx context.Context) (string, error) {
	var err error
	d.gitboot, err = lab.Build(ctx, filepath.Join(d.dir, "bin"))
	return "gitboot and gitboot-init, static", err
}

func (d *demo) makeRootFS(ctx context.Context) (string, error) {
	var err error
	if d.rootfs, err = lab.RootFS(ctx, lab.Bookworm); err != nil {
		return "", err
	}
	info, err := os.Stat(d.rootfs)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Debian 12 with its kernel, %d MB, kept as %s", info.Size()>>20, d.rootfs), nil
}

func (d *demo) chooseAccel(ctx context.Context) (string, error) {
	var err error
	if d.accel, err = lab.Accelerator(ctx); err != nil {
		return "", err
	}
	if d.accel == lab.KVM {
		return "KVM works", nil
	}
	return "no working KVM here, so QEMU emulates the processor", nil
}

func (d *demo) push(ctx context.Context) (string, error) {
	var err error
	if d.registry, err = lab.NewRegistry(filepath.Join(d.dir, "registry")); err != nil {
		return "", err
	}
	ref, digest, err := d.registry.Push(ctx, "desktop:stable", nil, lab.Layer{Path: d.rootfs})
	d.image = ref
	return fmt.Sprintf("%s is %.19s…", ref, digest), err
}

// makeConfig takes the example, pulling from our registry instead. Its kernel
// is not quiet, so that the console of a boot that fails shows how far it got.
func (d *demo) makeConfig(ctx context.Context) (string, error) {
	src, err := lab.SourceDir(ctx)
	if err != nil {
		return "", err
	}
	if d.repo, err = lab.NewRepo(ctx, filepath.Join(d.dir, "laptop")); err != nil {
		return "", err
	}
	if err := d.repo.CopyDir(filepath.Join(src, "examples", "laptop")); err != nil {
		return "", err
	}
	const pull = `"registry.example/desktop:stable"`
	if err := d.repo.Replace("gitboot.toml", pull, fmt.Sprintf("%q\ninsecure = true", d.image)); err != nil {
		return "", err
	}
	if err := d.repo.Replace("gitboot.toml", `kernel_args = ["quiet"]`, `kernel_args = ["loglevel=7"]`); err != nil {
		return "", err
	}
	hash, err := d.repo.Commit(ctx, "Begin with one laptop")
	return "examples/laptop as commit " + short(hash), err
}

func (d *demo) makeDisk(ctx context.Context) (string, error) {
	var err error
	d.disk, err = lab.NewDisk(ctx, filepath.Join(d.dir, "disk.img"), lab.DiskOptions{})
	return "GPT, ext4, GRUB for BIOS and UEFI", err
}

// reconcile says how much the run added to the stage.
func (d *demo) reconcile(ctx context.Context) (string, error) {
	mnt, err := d.disk.Mount(ctx)
	if err != nil {
		return "", err
	}
	objects := filepath.Join(mnt, "gitboot", "objects")
	count, size, err := usage(objects)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := d.gitbootRun(ctx, mnt, "reconcile", "--once"); err != nil {
		return "", err
	}
	took := time.Since(began)
	count2, size2, err := usage(objects)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d new objects, %s, in %.2f s", count2-count, kilobytes(size2-size), took.Seconds()), d.disk.Unmount()
}

func (d *demo) plan(ctx context.Context) (string, error) {
	mnt, err := d.disk.Mount(ctx)
	if err != nil {
		return "", err
	}
	if err := d.gitbootRun(ctx, mnt, "plan"); err != nil {
		return "", err
	}
	return "what the next reconcile will do", d.disk.Unmount()
}

// rename commits another host name.
func (d *demo) rename(from, to string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		const file = "machines/laptop.toml"
		if err := d.repo.Replace(file, fmt.Sprintf("hostname = %q", from), fmt.Sprintf("hostname = %q", to)); err != nil {
			return "", err
		}
		diff, err := d.repo.Git(ctx, "diff", "--unified=0", file)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(diff) {
			if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
				fmt.Print("    ", line)
			}
		}
		hash, err := d.repo.Commit(ctx, "Call the laptop "+to)
		return "commit " + short(hash), err
	}
}

// gitbootRun runs gitboot as a user would, on the mounted disk, in the folder
// that holds the config repo and the disk's mount point.
func (d *demo) gitbootRun(ctx context.Context, mnt string, args ...string) error {
	disk := filepath.Base(mnt)
	args = append(args, "--repo", filepath.Base(d.repo.Dir), "--machine", "laptop",
		"--stage", filepath.Join(disk, "gitboot"), "--boot", filepath.Join(disk, "boot", "grub"))
	fmt.Println("    $ gitboot", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, d.gitboot, args...)
	cmd.Dir = d.dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("gitboot %s: %w", args[0], err)
	}
	return nil
}

// usage counts the files below dir and their bytes. A dir that is not there
// has none.
func usage(dir string) (count int, size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		count, size = count+1, size+info.Size()
		return nil
	})
	return count, size, err
}

func kilobytes(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func short(hash string) string { return hash[:min(12, len(hash))] }
