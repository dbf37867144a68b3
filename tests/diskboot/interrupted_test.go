package diskboot

import (
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/lab"
)

// A work is a command that makes something of what the site declares.
type work struct {
	made string
	args []string
	// device says that it goes onto one: what was there before is lost in any case.
	device bool
	// full is what is said besides where there is no room.
	full string
}

// works are those that make a disk or a medium, in place of an older one, or write one.
// The stage is there already.
func (s *site) works(t *testing.T) []work {
	t.Helper()
	made := []string{"--force", "--stage", filepath.Join(s.dir, "stage")}
	s.image(t, "a.img", made...)
	room := "; make room in " + s.dir + ", or name "
	return []work{
		{made: "b.qcow2", args: append([]string{"disk", "image", "small", "-o", "b.qcow2", "--format", "qcow2"}, made...), full: room},
		{made: "b.iso", args: append([]string{"disk", "iso", "small", "-o", "b.iso"}, made...), full: room},
		{made: "disk", args: []string{"disk", "write", "a.img", s.blank(t), "--yes"}, device: true, full: "boots nothing: write it again"},
	}
}

// Whoever makes a disk or a medium, or writes one, and is told to end or finds no room,
// at whichever step, says so and what to do. It leaves the older file as it was, no part
// of a new one, and no process; what is made next is as if nothing had been.
func TestInterrupted(t *testing.T) {
	s := newSite(t)
	var err error
	s.program, err = lab.Build(s.ctx, t.TempDir(), "faults")
	must(t, err)
	passed, heard := []string(nil), 0
	for _, w := range s.works(t) {
		points := s.points(t, w)
		whole := [32]byte{}
		if !w.device {
			whole = s.content(t, w.made)
		}
		for _, point := range points {
			if slices.Contains(passed, point) {
				continue // by another command, in the same way
			}
			signal := []string{"term", "int"}[len(passed)%2]
			passed = append(passed, point)
			if s.interrupt(t, w, whole, point+":"+signal) {
				heard++
			}
			s.interrupt(t, w, whole, point+":enospc")
		}
		if !w.device {
			s.points(t, w)
			s.checkMade(t, w, whole, "after all that")
		}
	}
	if heard < len(passed)/2 {
		t.Errorf("%d of %d signals were heard", heard, len(passed))
	}
	t.Logf("at %v", passed)
	t.Run("full", s.checkFull)
}

// content is the sum of a file.
func (s *site) content(t *testing.T, name string) [32]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	must(t, err)
	return sha256.Sum256(data)
}

// points are those of making disks that a command passes, in order.
func (s *site) points(t *testing.T, w work) (names []string) {
	t.Helper()
	list := filepath.Join(s.dir, "points")
	cmd := s.command(w.args...)
	cmd.Env = append(cmd.Env, "GITBOOT_FAULT_LIST="+list)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", w.args, err, out)
	}
	text, err := os.ReadFile(list)
	must(t, err)
	must(t, os.Remove(list))
	for name := range strings.FieldsSeq(string(text)) {
		if strings.HasPrefix(name, "disk.") && !strings.Contains(name, "#") {
			names = append(names, name)
		}
	}
	return names
}

// older is what a file holds before.
const older = "an older file\n"

// interrupt has a command come to grief at a point, and reports whether it did: one that
// is told to end so late that all is done, before it hears of that, has done it.
func (s *site) interrupt(t *testing.T, w work, whole [32]byte, fault string) bool {
	t.Helper()
	if !w.device {
		must(t, os.WriteFile(filepath.Join(s.dir, w.made), []byte(older), 0o600))
	}
	before := s.files(t)
	cmd := s.command(w.args...)
	list := filepath.Join(s.dir, "points")
	cmd.Env = append(cmd.Env, "GITBOOT_FAULT="+fault, "GITBOOT_FAULT_LIST="+list)
	cmd.SysProcAttr.Setpgid = true
	out, failed := cmd.CombinedOutput()
	if err := syscall.Kill(-cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("%v, %s: it leaves processes: %v", w.args[:2], fault, err)
	}
	must(t, errors.Join(os.Remove(list), os.RemoveAll(list+".term")))
	if after := s.files(t); !slices.Equal(after, before) {
		t.Errorf("%v, %s: there were %v, and now there are %v", w.args[:2], fault, before, after)
	}
	says := "interrupted; "
	if strings.HasSuffix(fault, ":enospc") {
		says = w.full
	} else if failed == nil {
		s.checkMade(t, w, whole, fault)
		return false
	}
	if failed == nil || !strings.Contains(string(out), says) {
		t.Errorf("%v, %s: it ends with %v, and does not say %q\n%s", w.args[:2], fault, failed, says, out)
	}
	if !w.device && s.content(t, w.made) != sha256.Sum256([]byte(older)) {
		t.Errorf("%v, %s: the older file is another", w.args[:2], fault)
	}
	return true
}

// checkMade wants what a command has made to be all of it.
func (s *site) checkMade(t *testing.T, w work, whole [32]byte, when string) {
	t.Helper()
	if w.device && !starts(t, filepath.Join(s.dir, w.made)) || !w.device && s.content(t, w.made) != whole {
		t.Errorf("%v, %s: what is made is not whole", w.args[:2], when)
	}
}

// files are those of who may do nothing.
func (s *site) files(t *testing.T) (names []string) {
	t.Helper()
	all, err := os.ReadDir(s.dir)
	must(t, err)
	for _, f := range all {
		names = append(names, f.Name())
	}
	return names
}

// checkFull has disks made where the kernel, and not a fault point, says that there is
// no room.
func (s *site) checkFull(t *testing.T) {
	small, stage := filepath.Join(s.dir, "small"), []string{"--stage", filepath.Join(s.dir, "stage")}
	must(t, os.Mkdir(small, 0o755))
	_, err := lab.Run(s.ctx, "mount", "-t", "tmpfs", "-o", "size=256m,mode=1777", "tmpfs", small)
	must(t, err)
	t.Cleanup(func() { must(t, unix.Unmount(small, unix.MNT_DETACH)) })
	image := []string{"disk", "image", "small", "--size", "400MB", "-o"}
	for _, c := range []struct {
		name, point, temp, or string
		args                  []string
	}{
		{"the file", "disk.fill", s.dir, "name a file elsewhere", slices.Concat(image, []string{"small/full.img"}, stage)},
		{"the file as qcow2", "disk.run.qemu-img", s.dir, "name a file elsewhere", slices.Concat(image, []string{"small/full.qcow2", "--format", "qcow2"}, stage)},
		{"the medium", "disk.run.xorriso", s.dir, "name a file elsewhere", slices.Concat([]string{"disk", "iso", "small", "-o", "small/full.iso"}, stage)},
		{"what is needed meanwhile", "disk.fill", small, "name another folder with TMPDIR", slices.Concat(image, []string{"full.qcow2", "--format", "qcow2"}, stage)},
		{"the stage", "stage.object.published", small, "name another folder with TMPDIR", slices.Concat(image, []string{"full.img"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.files(t)
			cmd := s.command(c.args...)
			cmd.Env = append(cmd.Env, "TMPDIR="+c.temp, "GITBOOT_FAULT="+c.point+":stop")
			out, err := stopped(t, cmd, func() { resize(t, small, 64<<10) })
			if says := "; make room in " + small + ", or " + c.or; err == nil || !strings.Contains(out, says) {
				t.Errorf("it ends with %v, and does not say %q:\n%s", err, says, out)
			}
			left, err := os.ReadDir(small)
			if after := s.files(t); err != nil || len(left) > 0 || !slices.Equal(after, before) {
				t.Errorf("there were %v, and now there are %v, and in the full folder %v, %v", before, after, left, err)
			}
			resize(t, small, 256<<20)
		})
	}
}

// resize leaves a file system in memory so much room.
func resize(t *testing.T, dir string, room uint64) {
	t.Helper()
	var st unix.Statfs_t
	must(t, unix.Statfs(dir, &st))
	used := (st.Blocks - st.Bfree) * uint64(st.Bsize)
	_, err := lab.Run(t.Context(), "mount", "-o", "remount,size="+strconv.FormatUint(used+room, 10), dir)
	must(t, err)
}

// stopped runs a command, and has something happen while it stands at its fault point.
func stopped(t *testing.T, cmd *exec.Cmd, do func()) (string, error) {
	t.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	const stops = unix.WSTOPPED | unix.WEXITED | unix.WNOWAIT
	err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, stops, nil)
	for errors.Is(err, unix.EINTR) {
		err = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, stops, nil)
	}
	must(t, err)
	do()
	must(t, cmd.Process.Signal(unix.SIGCONT))
	err = cmd.Wait()
	return out.String(), err
}
