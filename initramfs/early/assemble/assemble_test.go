package assemble

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// file makes an empty one.
func file(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
	return path
}

// loop makes a file a block device, and returns its name.
func loop(t *testing.T, path string) string {
	t.Helper()
	out, err := lab.Run(t.Context(), "losetup", "--find", "--show", path)
	if err != nil {
		t.Fatal(err)
	}
	device := strings.TrimSpace(out)
	t.Cleanup(func() {
		if err := exec.Command("losetup", "--detach", device).Run(); err != nil {
			t.Error(err)
		}
	})
	return filepath.Base(device)
}

// A volume waits for all disks of its group, in whatever order they come, and can do
// without those that it does not lie on; what is nothing of LVM's is passed over.
func TestVolumeWaits(t *testing.T) {
	need.Root(t)
	g, err := lab.NewVolumeGroup(t.Context(), "vg", nil, lab.Place{Path: file(t, 32<<20)}, lab.Place{Path: file(t, 32<<20)}, lab.Place{Path: file(t, 32<<20)})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Create(t.Context(), "lv", "-L", "8M", "-i", "2", "-I", "64k"); err != nil {
		t.Fatal(err)
	}
	group, id, err := g.UUIDs(t.Context(), "lv")
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := g.Pieces(t.Context(), "lv")
	if err != nil {
		t.Fatal(err)
	}
	on := map[string]bool{}
	for _, p := range pieces {
		on[p.Device] = true
	}
	v, came := NewVolume(group, id), 0
	if v.Offer("null") || v.Offer(loop(t, file(t, 1<<20))) {
		t.Error("nothing makes a volume")
	}
	for i := range 3 {
		device := g.Device(i)
		if on[device] {
			came++
		}
		if all := v.Offer(filepath.Base(device)); all != (i == 2) || v.Enough() != (came == 2) {
			t.Errorf("with %d of its disks it is whole: %v, and %v without the rest (%s)", came, all, v.Enough(), v)
		}
	}
	if v.known.Name != "vg-lv" {
		t.Errorf("%+v", v.known)
	}
	if other := NewVolume(strings.Repeat("0", 32), id); other.Offer(filepath.Base(g.Device(0))) || other.known != nil {
		t.Error("another group's volume is taken")
	}
	if gone := NewVolume(group, strings.Repeat("0", 32)); gone.Offer(filepath.Base(g.Device(0))) || !gone.Enough() {
		t.Error("a volume that is not there is waited for, as if a disk had to know it")
	} else if _, err := gone.Make(); err == nil || !strings.Contains(err.Error(), "has no logical volume") {
		t.Error(err)
	}
}

// A disk that was away when its group changed comes first, and knows less than the one
// that comes last: where the volume lies is what that says.
func TestStaleMetadata(t *testing.T) {
	need.Root(t)
	stale, other, was := file(t, 32<<20), file(t, 32<<20), file(t, 0)
	g, err := lab.NewVolumeGroup(t.Context(), "vg", nil, lab.Place{Path: stale}, lab.Place{Path: other})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Create(t.Context(), "lv", "-L", "8M", g.Device(0)); err != nil {
		t.Fatal(err)
	}
	group, id, err := g.UUIDs(t.Context(), "lv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "cp", stale, was); err != nil {
		t.Fatal(err)
	}
	if _, err := g.LVM(t.Context(), "lvextend", "-l", "+2", "vg/lv", g.Device(0)); err != nil {
		t.Fatal(err)
	}
	v := NewVolume(group, id)
	if v.Offer(loop(t, was)) || !v.Enough() || v.known.Segments[0].Length != 8<<11 {
		t.Errorf("the disk that was away is the whole group: %s", v)
	}
	if !v.Offer(filepath.Base(g.Device(1))) || v.known.Segments[0].Length != 16<<11 {
		t.Errorf("what the other disk knows is not taken: %s, %+v", v, v.known)
	}
}

// A device that was made is found by its name, and udev's rules are told of it.
func TestAnnounce(t *testing.T) {
	dir := t.TempDir()
	mapper, udev := filepath.Join(dir, "dev/mapper"), filepath.Join(dir, "run/udev/data")
	if err := announce(mapper, udev, "vg-lv", filepath.Join(dir, "dev/dm-7"), "b253:7"); err != nil {
		t.Fatal(err)
	}
	link, err := os.Readlink(filepath.Join(mapper, "vg-lv"))
	text, err2 := os.ReadFile(filepath.Join(udev, "b253:7"))
	if err := errors.Join(err, err2); err != nil || link != "../dm-7" || string(text) != "E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\n" {
		t.Errorf("%v: %s, %q", err, link, text)
	}
	if err := Announce("/dev/null"); err != nil {
		t.Error(err)
	}
}

// A copy of a disk is not taken for it, nor it for the copy.
func TestTwins(t *testing.T) {
	need.Root(t)
	disk, twin := file(t, 32<<20), file(t, 0)
	g, err := lab.NewVolumeGroup(t.Context(), "vg", nil, lab.Place{Path: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Create(t.Context(), "lv", "-L", "8M"); err != nil {
		t.Fatal(err)
	}
	group, id, err := g.UUIDs(t.Context(), "lv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "cp", disk, twin); err != nil {
		t.Fatal(err)
	}
	v := NewVolume(group, id)
	for _, name := range []string{loop(t, twin), filepath.Base(g.Device(0))} {
		v.Offer(name)
	}
	if path, err := v.Make(); err == nil || !strings.Contains(err.Error(), "one is a copy") {
		t.Errorf("%s, %v", path, err)
	}
}

// A mirror waits for both halves, and can do with either.
func TestArrayWaits(t *testing.T) {
	need.Root(t)
	lab.RequireMachines(t)
	dir := t.TempDir()
	m, err := lab.NewMirror(t.Context(), lab.MirrorOptions{Metadata: "1.0"}, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	member := loop(t, m.Files[0])
	if !MemberOf(member, []string{"", m.UUID}) || MemberOf(member, []string{strings.Repeat("0", 36)}) || MemberOf("null", []string{m.UUID}) {
		t.Error("a member is not known by its array")
	}
	a := NewArray(m.UUID)
	if a.Offer("null") || a.Offer(loop(t, file(t, 1<<20))) || a.Enough() {
		t.Error("nothing makes an array")
	}
	if a.Offer(loop(t, m.Files[1])) || !a.Enough() || a.String() != "1 of 2 members have come" {
		t.Errorf("with one half: %s, enough: %v", a, a.Enough())
	}
	if !a.Offer(loop(t, m.Files[0])) {
		t.Errorf("with both halves: %s", a)
	}
	if other := NewArray(strings.Repeat("0", 36)); other.Offer(loop(t, m.Files[0])) || other.Enough() {
		t.Error("another array's member is taken")
	}
	// one that was left behind is none of what is whole, and one that knows of that waits
	// for nobody
	for name, member := range a.members {
		if member.Role == 0 {
			member.Events = 7
			member.Active = 1
		} else {
			a.members[name].Events = 5
		}
	}
	if newest := a.newest(); newest.Role != 0 || len(a.roles(newest)) != 1 || !a.complete() {
		t.Errorf("the newest is %+v, of %v", newest, a.roles(newest))
	}
}
