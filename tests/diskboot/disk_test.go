// Package diskboot has disks made that boot, by a user who may do nothing else.
package diskboot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

const config = `[image.small]
archive     = "ARCHIVE"
kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check"]

[machine.small]
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", timeout = 0 }

[machine.small.disk]
partitions = [
PARTITIONS]
`

// partitions are those of most tests.
const partitions = `  { role = "bios" },
  { role = "esp", size = "40MB" },
  { role = "swap", size = "8MB" },
  { role = "data", size = "32MB", label = "home" },
  { role = "stage", grow = true },
`

// start is the only thing that the small system does.
const start = `#!/bin/sh
exec >/dev/console
read -r options </proc/cmdline
echo "lab: $options"
echo "lab: $(cat /etc/hostname) started"
poweroff
`

// nobody owns what a user without rights does here.
const nobody = 65534

// A site is a config repo, and a folder of a user without rights.
type site struct {
	ctx          context.Context
	program, dir string
}

func newSite(t *testing.T) *site { return newSiteWith(t, partitions) }

// newSiteWith is one whose machine has a disk of certain partitions, and its image the
// modules of file systems.
func newSiteWith(t *testing.T, partitions string, filesystems ...string) *site {
	return newSiteOf(t, strings.Replace(config, "PARTITIONS", partitions, 1), func(ctx context.Context, path, start string) error {
		return lab.Small(ctx, path, start, filesystems...)
	})
}

// newSiteOf is one whose config repo declares something else, of another small system.
func newSiteOf(t *testing.T, config string, small func(ctx context.Context, path, start string) error) *site {
	t.Helper()
	lab.RequireMachines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	program, err := lab.Build(ctx, t.TempDir())
	must(t, err)
	s := &site{ctx: ctx, program: program, dir: t.TempDir()}
	must(t, os.Chmod(filepath.Dir(s.dir), 0o711)) // who has no rights comes through
	archive := filepath.Join(s.dir, "small.tar")
	must(t, small(ctx, archive, start))
	repo, err := lab.NewRepo(ctx, filepath.Join(s.dir, "repo"))
	must(t, err)
	must(t, repo.Write("gitboot.toml", strings.Replace(config, "ARCHIVE", archive, 1)))
	_, err = repo.Commit(ctx, "Begin small")
	must(t, err)
	_, err = lab.Run(ctx, "chown", "-R", strconv.Itoa(nobody), s.dir)
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command is gitboot, run by nobody.
func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, s.program, append(args, "--repo", filepath.Join(s.dir, "repo"))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.dir}
	return cmd
}

// A made is what disk image --json says.
type made struct {
	Size       int64
	Partitions []struct {
		Role, UUID     string
		FilesystemUUID string `json:"filesystemUUID"`
		Start, Size    int64
	}
}

func (s *site) image(t *testing.T, name string, args ...string) (m made, sum [32]byte) {
	t.Helper()
	cmd := s.command(append([]string{"disk", "image", "small", "-o", name, "--size", "400MB", "--json"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, stderr.String())
	}
	must(t, json.Unmarshal(out, &m))
	f, err := os.Open(filepath.Join(s.dir, name))
	must(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(t, err)
	h.Sum(sum[:0])
	return m, sum
}

// A disk is made by a user without rights, is the same each time, whole for those whose
// formats it has, and boots by UEFI. Installed onto a disk that is there, it boots by
// BIOS, which counts the boot.
func TestDiskImage(t *testing.T) {
	s := newSite(t)
	m, first := s.image(t, "a.img", "--stage", filepath.Join(s.dir, "stage"))
	if _, again := s.image(t, "b.img"); first != again {
		t.Errorf("made again, without the stage, it is another: %s", s.differ("a.img", "b.img"))
	}
	s.sound(t, m)
	s.boots(t, "a.img", "uefi")
	s.install(t, 3)
	s.boots(t, "disk", "bios", "--keep", "disk")
	at, _ := stageOf(t, filepath.Join(s.dir, "disk"))
	if left := s.read(t, at, "/gitboot/boot/gitboot.env"); !strings.Contains(left, "gitboot_left=2\n") {
		t.Errorf("a boot was not counted: %.300s", left)
	}
	if names, err := filepath.Glob(filepath.Join(s.dir, "*gitboot-*")); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// differ shows the first places where two files do.
func (s *site) differ(a, b string) string {
	out, _ := exec.CommandContext(s.ctx, "sh", "-c", "cmp -l "+filepath.Join(s.dir, a)+" "+filepath.Join(s.dir, b)+" | head -40").Output()
	return string(out)
}

// sound has the disk looked at by programs of others.
func (s *site) sound(t *testing.T, m made) {
	t.Helper()
	disk := filepath.Join(s.dir, "a.img")
	s.run(t, "No problems found", "sgdisk", "-v", disk)
	for _, p := range m.Partitions {
		s.whole(t, disk, p.Role, p.Start)
	}
	info, err := os.Stat(disk)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v", info.Mode())
	}
	if used := info.Sys().(*syscall.Stat_t).Blocks * 512; used > 120<<20 || info.Size() != m.Size {
		t.Errorf("it takes %d of %d bytes", used, info.Size())
	}
}

// whole has a partition looked at.
func (s *site) whole(t *testing.T, disk, role string, start int64) {
	t.Helper()
	at := strconv.FormatInt(start, 10)
	switch role {
	case "esp":
		s.run(t, "BOOTX64", "mdir", "-i", disk+"@@"+at, "::/EFI/BOOT")
	case "stage", "data":
		s.run(t, "", "e2fsck", "-fn", disk+"?offset="+at)
	case "swap":
		s.run(t, "TYPE=\"swap\"", "blkid", "--probe", "--offset", at, disk)
	}
}

func (s *site) run(t *testing.T, want string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(s.ctx, args[0], args[1:]...).CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: want %q, got %v\n%s", args, want, err, out)
	}
}

// read returns a file of the stage's file system.
func (s *site) read(t *testing.T, at, path string) string {
	t.Helper()
	return s.debugfs(t, at, "cat "+path)
}

// debugfs is what that says of the stage's file system.
func (s *site) debugfs(t *testing.T, at, request string) string {
	t.Helper()
	out, err := exec.CommandContext(s.ctx, "debugfs", "-R", request, at).Output()
	must(t, err)
	return string(out)
}

// boots has gitboot itself boot a disk, whose system says what it is.
func (s *site) boots(t *testing.T, disk, firmware string, more ...string) {
	t.Helper()
	s.says(t, []string{`lab: BOOT_IMAGE=\S*/gitboot/objects/.* gitboot.trying=1`, `lab: small started`}, disk, firmware, more...)
}

// says has gitboot itself boot a disk, and wants these lines.
func (s *site) says(t *testing.T, lines []string, disk, firmware string, more ...string) {
	t.Helper()
	began := time.Now()
	out, err := s.command(append([]string{"vm", "./" + disk, "--firmware", firmware, "--memory", "512MB", "--timeout", "2m"}, more...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range lines {
		if !regexp.MustCompile(line).Match(out) {
			t.Errorf("%s does not say %q:\n%s", firmware, line, out)
		}
	}
	t.Logf("%s: %.1f s", firmware, time.Since(began).Seconds())
}

// starts reports whether a disk begins with anything.
func starts(t *testing.T, disk string) bool {
	t.Helper()
	head := make([]byte, 1<<20)
	f, err := os.Open(disk)
	must(t, err)
	_, err = f.ReadAt(head, 0)
	must(t, errors.Join(err, f.Close()))
	return !bytes.Equal(head, make([]byte, len(head)))
}
