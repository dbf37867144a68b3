package diskboot

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// install installs onto a disk that is full of something else, after it was killed at
// so many moments, each time at another, and began again.
func (s *site) install(t *testing.T, cuts int) (m made) {
	t.Helper()
	disk, other := filepath.Join(s.dir, "disk"), filepath.Join(s.dir, "other")
	junk := bytes.Repeat([]byte("old data"), 420_000_000/8)
	must(t, os.WriteFile(disk, junk, 0o666))
	must(t, os.WriteFile(other, junk, 0o666))
	must(t, os.Chmod(disk, 0o666)) // whatever the umask is
	command := func() *exec.Cmd {
		return s.command("install", "disk", "--machine", "small", "--yes", "--json", "--stage", filepath.Join(s.dir, "stage"))
	}
	began := time.Now()
	out, err := command().Output()
	took := time.Since(began)
	must(t, err)
	must(t, json.Unmarshal(out, &m))
	for range cuts {
		after := time.Duration(rand.Int64N(int64(took)))
		cmd := command()
		must(t, cmd.Start())
		kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		kill.Stop()
		t.Logf("killed after %v of %v: %v, %s", after.Round(time.Millisecond), took.Round(time.Millisecond), err, s.state(t, m))
	}
	out, err = command().Output()
	if err != nil {
		t.Fatalf("after the cuts: %v", err)
	}
	m = made{}
	must(t, json.Unmarshal(out, &m))
	if now, err := os.ReadFile(other); err != nil || sha256.Sum256(now) != sha256.Sum256(junk) {
		t.Errorf("another disk is not what it was: %v", err)
	}
	for _, p := range m.Partitions {
		s.whole(t, disk, p.Role, p.Start)
	}
	return m
}

// state says what a cut has left: a disk that is whole, or one that starts nothing.
func (s *site) state(t *testing.T, m made) string {
	t.Helper()
	disk := filepath.Join(s.dir, "disk")
	f, err := os.Open(disk)
	must(t, err)
	defer f.Close()
	head := make([]byte, 1024)
	_, err = f.ReadAt(head, 0)
	must(t, err)
	if bytes.Equal(head, make([]byte, len(head))) {
		return "it starts nothing"
	}
	for _, p := range m.Partitions {
		s.whole(t, disk, p.Role, p.Start)
	}
	return "it is whole"
}
