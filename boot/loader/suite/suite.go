// Package suite is what each boot loader must pass.
package suite

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
)

// Stage is where the suite has its stage.
var Stage = boot.Filesystem{UUID: "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d", Type: "ext4", Path: "/gitboot"}

// Run tests a boot loader that has published nothing yet.
func Run(t *testing.T, open func(t *testing.T) loader.Loader) {
	t.Run("menu", func(t *testing.T) { publishes(t, open(t)) })
	t.Run("refused", func(t *testing.T) { refuses(t, open(t)) })
	t.Run("links", func(t *testing.T) { links(t, open(t)) })
}

// kernel and initrd are paths of objects, by a digit.
func kernel(n string) string { return "objects/sha256/" + strings.Repeat("a"+n, 32) }
func initrd(n string) string { return "objects/sha256/" + strings.Repeat("b"+n, 32) }

// menu has two images, of which the first has an older generation.
func menu() boot.Menu {
	entry := func(image, id string) boot.Entry {
		id = strings.Repeat(id, 64)
		return boot.Entry{
			ID: boot.EntryID(image, id), Title: image + " " + id[:4], Kernel: kernel(id[:1]), Initrd: initrd(id[:1]),
			Args: []string{"quiet", "gitboot.deployment=" + id},
		}
	}
	m := boot.Menu{Stage: Stage, Mode: boot.ModeManaged, Images: []boot.MenuImage{
		{Name: "desktop", Entries: []boot.Entry{entry("desktop", "2"), entry("desktop", "1")}},
		{Name: "router", Entries: []boot.Entry{entry("router", "3")}},
	}}
	m.Choose("")
	return m
}

func publishes(t *testing.T, l loader.Loader) {
	full, less := menu(), menu()
	less.Images = less.Images[:1]
	less.Choose("")
	shows(t, l)
	for _, m := range []boot.Menu{full, less, {Stage: Stage, Mode: boot.ModeMenu}, full} {
		if why, err := l.Stale(t.Context(), m); err != nil || why == "" {
			t.Errorf("before it is published: %q, %v", why, err)
		}
		if err := l.Fits(t.Context(), m); err != nil {
			t.Errorf("it does not fit: %v", err)
		}
		if err := l.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if why, err := l.Stale(t.Context(), m); err != nil || why != "" {
			t.Errorf("when it is published: %q, %v", why, err)
		}
		shows(t, l, m.Images...)
	}
	safe := menu()
	safe.Safe = &boot.Entry{ID: boot.SafeGraphicsID, Title: "safe", Kernel: kernel("2"), Initrd: initrd("2"), Args: []string{"nomodeset"}}
	if err := l.Publish(t.Context(), safe); err != nil {
		t.Fatal(err)
	}
	shows(t, l, append(slices.Clone(safe.Images), boot.MenuImage{Entries: []boot.Entry{*safe.Safe}})...)
	if err := l.Publish(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	shows(t, l, full.Images...)
	other := menu()
	other.Choose(other.Images[1].Entries[0].ID)
	if why, err := l.Stale(t.Context(), other); err != nil || why == "" {
		t.Errorf("another default: %q, %v", why, err)
	}
}

func shows(t *testing.T, l loader.Loader, images ...boot.MenuImage) {
	t.Helper()
	want := map[string]bool{}
	for _, image := range images {
		for _, e := range image.Entries {
			want[e.ID] = true
		}
	}
	if got, err := l.Entries(); err != nil || !maps.Equal(got, want) {
		t.Errorf("it shows %v, %v; want %v", slices.Sorted(maps.Keys(got)), err, slices.Sorted(maps.Keys(want)))
	}
}

// refuses sees that a menu which cannot be leaves the one that is.
func refuses(t *testing.T, l loader.Loader) {
	good := menu()
	if err := l.Publish(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*boot.Menu){
		"mode":     func(m *boot.Menu) { m.Mode = "" },
		"default":  func(m *boot.Menu) { m.Default = "gitboot-none" },
		"stage":    func(m *boot.Menu) { m.Stage.UUID = "x; reboot" },
		"title":    func(m *boot.Menu) { m.Images[0].Entries[0].Title = "a\nb" },
		"kernel":   func(m *boot.Menu) { m.Images[0].Entries[0].Kernel = "../vmlinuz" },
		"argument": func(m *boot.Menu) { m.Images[0].Entries[0].Args = []string{"a\nb"} },
		"twice":    func(m *boot.Menu) { m.Images[1].Entries[0].ID = m.Images[0].Entries[0].ID },
	} {
		bad := menu()
		spoil(&bad)
		if why, err := l.Stale(t.Context(), bad); err == nil {
			t.Errorf("%s: stale is %q", name, why)
		}
		if err := l.Publish(t.Context(), bad); err == nil {
			t.Errorf("%s: published", name)
		}
		if why, err := l.Stale(t.Context(), good); err != nil || why != "" {
			t.Errorf("%s: the menu from before is not there: %q, %v", name, why, err)
		}
	}
}

func links(t *testing.T, l loader.Loader) {
	other := Stage
	other.Path = "/elsewhere"
	linked := func(stage boot.Filesystem, want bool) {
		t.Helper()
		if got, err := l.Linked(t.Context(), stage); err != nil || got != want {
			t.Errorf("the stage at %s is linked: %t, %v", stage.Path, got, err)
		}
	}
	linked(Stage, false)
	for range 2 {
		if err := l.Link(t.Context(), Stage); err != nil {
			t.Fatal(err)
		}
		linked(Stage, true)
		linked(other, false)
	}
	if err := l.Check(t.Context(), Stage); err != nil {
		t.Error(err)
	}
	if err := l.Link(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	linked(Stage, false)
	linked(other, true)
	bad := Stage
	bad.UUID = "x; reboot"
	if err := l.Link(t.Context(), bad); err == nil {
		t.Error("linked to no UUID")
	}
	linked(other, true)
	for range 2 {
		if err := l.Unlink(); err != nil {
			t.Fatal(err)
		}
		linked(other, false)
	}
}
