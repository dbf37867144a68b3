package diskboot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// Whoever makes a disk or a medium, or writes one, and is told to end or finds no room,
// at whichever step, says so, and leaves neither a file nor a process.
func TestInterrupted(t *testing.T) {
	s := newSite(t)
	var err error
	s.program, err = lab.Build(s.ctx, t.TempDir(), "faults")
	must(t, err)
	stage := []string{"--stage", filepath.Join(s.dir, "stage")}
	s.image(t, "a.img", stage...)
	var passed []string
	for made, args := range map[string][]string{
		"b.qcow2": append([]string{"disk", "image", "small", "-o", "b.qcow2", "--format", "qcow2"}, stage...),
		"b.iso":   append([]string{"disk", "iso", "small", "-o", "b.iso"}, stage...),
		"disk":    {"disk", "write", "a.img", s.blank(t), "--yes"},
	} {
		points := s.points(t, args)
		if made != "disk" {
			must(t, os.Remove(filepath.Join(s.dir, made)))
		}
		for _, point := range points {
			if slices.Contains(passed, point) {
				continue // by another command, in the same way
			}
			passed = append(passed, point)
			s.interrupt(t, args, point+":term", "interrupted; ")
			s.interrupt(t, args, point+":enospc", "no space left on device")
		}
	}
	t.Logf("at %v", passed)
}

// points are those of making disks that a command passes, in order.
func (s *site) points(t *testing.T, args []string) (names []string) {
	t.Helper()
	list := filepath.Join(s.dir, "points")
	cmd := s.command(args...)
	cmd.Env = append(cmd.Env, "GITBOOT_FAULT_LIST="+list)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
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

// interrupt has a command come to grief at a point.
func (s *site) interrupt(t *testing.T, args []string, fault, says string) {
	t.Helper()
	before := s.files(t)
	cmd := s.command(args...)
	list := filepath.Join(s.dir, "points")
	cmd.Env = append(cmd.Env, "GITBOOT_FAULT="+fault, "GITBOOT_FAULT_LIST="+list)
	cmd.SysProcAttr.Setpgid = true
	out, err := cmd.CombinedOutput()
	if made := s.made(args); err == nil && fault == "disk.publishing:term" && made != "" {
		must(t, os.Remove(filepath.Join(s.dir, made))) // told so late that it was done before it heard
	} else if err == nil || !strings.Contains(string(out), says) {
		t.Errorf("%v, %s: it ends with %v\n%s", args[:2], fault, err, out)
	}
	if err := syscall.Kill(-cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("%v, %s: it leaves processes: %v", args[:2], fault, err)
	}
	must(t, errors.Join(os.Remove(list), os.RemoveAll(list+".term")))
	if after := s.files(t); !slices.Equal(after, before) {
		t.Errorf("%v, %s: there were %v, and now there are %v", args[:2], fault, before, after)
	}
}

// made is the file that a command was to make, if it is there.
func (s *site) made(args []string) string {
	at := slices.Index(args, "-o") + 1
	if at == 0 {
		return ""
	}
	if _, err := os.Stat(filepath.Join(s.dir, args[at])); err != nil {
		return ""
	}
	return args[at]
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
