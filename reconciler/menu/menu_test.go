package menu

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
)

var (
	noon  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	where = boot.Filesystem{UUID: "1111-2222", Path: "/gitboot"}
)

// A shelf is a book, what its stage holds, and what it logs.
type shelf struct {
	*Book
	doc *state.Machine
	log *bytes.Buffer
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newShelf has two images, of which desktop has two generations.
func newShelf(t *testing.T) *shelf {
	t.Helper()
	dir := t.TempDir()
	st, err := stage.Create(filepath.Join(dir, "stage"))
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, "grub"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "grub/grub.cfg"), nil, 0o644))
	s := &shelf{log: &bytes.Buffer{}, doc: &state.Machine{Version: state.Version, Machine: "laptop", Mode: "managed", Order: []string{"router", "desktop"}, Images: map[string]*state.Image{}}}
	s.Book = &Book{Stage: st, Place: st.Dir(), Folder: filepath.Join(dir, "grub"), Location: &where, Log: slog.New(slog.NewTextHandler(s.log, nil))}
	s.add(t, "desktop", 1, "quiet")
	s.add(t, "desktop", 2, "quiet splash")
	s.add(t, "router", 1, "")
	return s
}

// add stages a generation with kernel arguments.
func (s *shelf) add(t *testing.T, image string, n int, args string) {
	t.Helper()
	object, err := s.Stage.AddFile(t.Context(), strings.NewReader("object"))
	must(t, err)
	id, err := s.Stage.Publish(&deployment.Manifest{
		Version: deployment.Version, Image: image, Kernel: object, Initramfs: object, KernelVersion: "6.1", KernelArgs: strings.Fields(args), Layers: []deployment.Object{object},
	})
	must(t, err)
	s.doc.Image(image).Add(state.Generation{N: n, Deployment: id, Revision: strings.Repeat("a", 40), Created: noon})
}

func (s *shelf) id(image string, i int) string {
	return boot.EntryID(image, s.doc.Images[image].Generations[i].Deployment)
}

// listed are the entries of a menu: image, number, and * at the default.
func listed(m boot.Menu) (out []string) {
	for _, img := range m.Images {
		for _, e := range img.Entries {
			out = append(out, e.Title)
		}
	}
	return out
}

// The wanted images come in their order, then those that are still there; of each
// the newest first.
func TestMenu(t *testing.T) {
	s := newShelf(t)
	s.add(t, "old", 3, "")
	s.doc.Images["old"].Newest().Revision = ""
	s.doc.Images["nothing"] = &state.Image{}
	const at = "2026-05-01 12:00"
	want := strings.Join([]string{
		"router, generation 1 (" + at + ", revision aaaaaaaaaaaa)", "desktop, generation 2 (" + at + ", revision aaaaaaaaaaaa)",
		"desktop, generation 1 (" + at + ", revision aaaaaaaaaaaa)", "old, generation 3 (" + at + ", imported)",
	}, "\n")
	m := s.Menu(where, s.doc, nil)
	if got := strings.Join(listed(m), "\n"); got != want || m.Mode != "managed" {
		t.Errorf("%s\n%s", m.Mode, got)
	}
	if m = s.Menu(where, &state.Machine{}, nil); m.Mode != boot.ModeMenu || len(m.Images) > 0 {
		t.Errorf("of nothing it is %+v", m)
	}
}

// Where the stage has moved onto what an initramfs cannot put together, its generation has
// no entry, and those that can keep theirs.
func TestAssembles(t *testing.T) {
	s := newShelf(t)
	moved := where
	moved.Assembly = "lvm:" + deployment.Assembly(strings.Repeat("a", 32)+"/"+strings.Repeat("b", 32))
	s.doc.Images["desktop"].Newest().Inputs.Assembles = []string{"luks", "lvm"}
	if got := listed(s.Menu(moved, s.doc, nil)); len(got) != 1 || !strings.HasPrefix(got[0], "desktop, generation 2") || !strings.Contains(s.log.String(), "cannot put together lvm") {
		t.Errorf("%q\n%s", got, s.log)
	}
	if got := listed(s.Menu(where, s.doc, nil)); len(got) != 3 {
		t.Errorf("on a plain disk again there are %q", got)
	}
}

func TestEntry(t *testing.T) {
	m := &deployment.Manifest{Kernel: deployment.Object{SHA256: strings.Repeat("1", 64)}, Initramfs: deployment.Object{SHA256: strings.Repeat("2", 64)}, KernelArgs: []string{"quiet", "gitboot.wait=9"}}
	e := Entry("desktop", "laptop", state.Generation{N: 7, Deployment: "dd", Created: noon}, m, where)
	args := strings.Join(e.Args, " ")
	for _, want := range []string{"gitboot.stage=UUID=1111-2222:/gitboot", "gitboot.deployment=dd", "gitboot.machine=laptop", "quiet"} {
		if !strings.Contains(args, want) {
			t.Errorf("%s lacks %s", args, want)
		}
	}
	if e.Kernel != m.Kernel.Path() || e.Initrd != m.Initramfs.Path() || e.ID != boot.EntryID("desktop", "dd") {
		t.Errorf("%+v", e)
	}
}

// What cannot be written into a menu is known before anything is fetched.
func TestCheck(t *testing.T) {
	for what, c := range map[string]struct {
		args []string
		path string
		want string
	}{
		"good":            {[]string{"quiet"}, "/gitboot", ""},
		"too long a path": {[]string{strings.Repeat("x", 1500)}, "/" + strings.Repeat("p", 700), "it cannot be put into the boot menu of the stage at /ppp"},
	} {
		err := Check("laptop", spec.Image{Name: "desktop", KernelArgs: c.args}, boot.Filesystem{UUID: "1111-2222", Path: c.path})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// One generation that cannot be shown takes no other's entry.
func TestUnbootable(t *testing.T) {
	s := newShelf(t)
	good := *s.doc.Images["desktop"].Newest()
	s.add(t, "desktop", 3, "")
	newest := s.doc.Images["desktop"].Newest()
	must(t, s.Stage.RemoveDeployment(newest.Deployment))
	if got := s.Unbootable("desktop", "laptop", *newest, where); got != "its manifest cannot be read" {
		t.Errorf("%q", got)
	}
	if got := s.Unbootable("desktop", "laptop", good, where); got != "" {
		t.Errorf("%q", got)
	}
	far := boot.Filesystem{UUID: "1111-2222", Path: "/" + strings.Repeat("p", 3000)}
	if got := s.Unbootable("desktop", "laptop", good, far); got != "" {
		t.Errorf("where the stage lies is the generation's fault: %q", got)
	}
	s.add(t, "desktop", 4, strings.Repeat("argument ", 400))
	if got := s.Unbootable("desktop", "laptop", *s.doc.Images["desktop"].Newest(), where); got != "its kernel arguments cannot be put into a boot menu" {
		t.Errorf("%q", got)
	}
	if got := listed(s.Menu(where, s.doc, nil)); len(got) != 3 || strings.Count(s.log.String(), "generation gets no boot entry") != 2 {
		t.Errorf("%q\n%s", got, s.log)
	}
	if got := s.Hidden(t.Context(), "desktop", "laptop", *newest); !strings.HasPrefix(got, "not in the boot menu: ") {
		t.Errorf("%q", got)
	}
	if got := s.Hidden(t.Context(), "desktop", "laptop", good); got != "not in the boot menu; the next reconcile writes it" {
		t.Errorf("%q", got)
	}
}

// A menu is stale until it is published, and again when something else follows.
func TestPublish(t *testing.T) {
	s := newShelf(t)
	found, err := s.Bootable(t.Context())
	if err != nil || found != where {
		t.Fatalf("%+v %v", found, err)
	}
	observe := func(wantStale, wantLinked bool) {
		t.Helper()
		stale, linked, err := s.Observe(t.Context(), where, s.doc)
		if err != nil || (stale != "") != wantStale || linked != wantLinked {
			t.Errorf("stale %q, linked %t: %v", stale, linked, err)
		}
	}
	if shown, err := s.Shown(); err != nil || len(shown) > 0 {
		t.Errorf("%v %v", shown, err)
	}
	observe(true, false)
	must(t, s.Publish(t.Context(), where, s.doc))
	observe(false, false)
	must(t, s.Link(t.Context(), where))
	observe(false, true)
	shown, err := s.Shown()
	if err != nil || len(shown) != 3 || !shown[s.id("desktop", 0)] {
		t.Errorf("%v %v", shown, err)
	}
	s.doc.Default = s.id("desktop", 0)
	observe(true, true)
	// What runs was started by a menu of another system: only the stage's is kept.
	s.Booted, s.Folder = s.doc.Images["desktop"].Newest().Deployment, ""
	must(t, s.Publish(t.Context(), where, s.doc))
	observe(false, true)
	s.Booted, s.Folder = "", filepath.Join(s.Stage.Dir(), "none")
	if _, err := s.Bootable(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "find the boot loader: ") {
		t.Error(err)
	}
}

// Which entry boots by itself, of those that are shown.
func TestDefault(t *testing.T) {
	s := newShelf(t)
	all := map[string]bool{s.id("router", 0): true, s.id("desktop", 0): true, s.id("desktop", 1): true}
	without := func(id string) map[string]bool {
		out := map[string]bool{}
		for shown := range all {
			out[shown] = shown != id
		}
		return out
	}
	for what, c := range map[string]struct {
		chosen, mode string
		shown        map[string]bool
		want         string
	}{
		"the first image's newest":          {"", "managed", all, s.id("router", 0)},
		"the chosen one":                    {s.id("desktop", 0), "managed", all, s.id("desktop", 0)},
		"the chosen one is not shown":       {s.id("desktop", 0), "managed", without(s.id("desktop", 0)), s.id("router", 0)},
		"the first is not shown":            {"", "managed", without(s.id("router", 0)), s.id("desktop", 1)},
		"nothing is shown":                  {"", "managed", nil, ""},
		"the distribution's business":       {s.id("desktop", 0), "menu", all, ""},
		"of an image that is there no more": {boot.EntryID("gone", "dd"), "managed", all, s.id("router", 0)},
	} {
		s.doc.Default, s.doc.Mode = c.chosen, c.mode
		if got := s.Default(s.doc, c.shown); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

// What the stage has not as it was is said to be so in the menu, and does not boot by
// itself as long as there is something else.
func TestDamagedIsNotDefault(t *testing.T) {
	s := newShelf(t)
	kernel, err := s.Stage.AddFile(t.Context(), strings.NewReader("object"))
	must(t, err)
	layer, err := s.Stage.AddFile(t.Context(), strings.NewReader("a layer"))
	must(t, err)
	id, err := s.Stage.Publish(&deployment.Manifest{Version: deployment.Version, Image: "router", Kernel: kernel, Initramfs: kernel, KernelVersion: "6.1", Layers: []deployment.Object{layer}})
	must(t, err)
	s.doc.Image("router").Add(state.Generation{N: 2, Deployment: id, Created: noon})
	older, newest := s.id("router", 0), s.id("router", 1)
	boots := func(want string) {
		t.Helper()
		menu := s.Menu(where, s.doc, &deployment.Location{})
		if got := s.Default(s.doc, map[string]bool{newest: true, older: true}); menu.Default != want || got != want {
			t.Errorf("%q boots, and %q is said to; want %q", menu.Default, got, want)
		}
		if state := menu.Entry(newest).State; (state == boot.Damaged) != (want == older) {
			t.Errorf("the newest is %q", state)
		}
	}
	boots(newest)
	_, err = damage.Mark(s.Stage, []damage.Found{{Path: layer.Path()}})
	must(t, err)
	boots(older)
	_, err = damage.Mark(s.Stage, nil)
	must(t, err)
	boots(newest)
	must(t, os.Remove(s.Stage.ObjectPath(layer)))
	boots(older)
}

// A stage that is not there yet will be found where its parent is.
func TestLocate(t *testing.T) {
	s := newShelf(t)
	s.Location = nil
	there, errThere := s.Locate(t.Context())
	s.Place = filepath.Join(filepath.Dir(s.Place), "to-come")
	coming, err := s.Locate(t.Context())
	if (err == nil) != (errThere == nil) {
		t.Fatalf("%v, but %v", err, errThere)
	}
	if filepath.Base(coming.Path) != "to-come" || errThere == nil && (coming.UUID != there.UUID || filepath.Dir(coming.Path) != filepath.Dir(there.Path)) {
		t.Errorf("%+v, beside %+v", coming, there)
	}
}

// The recovery entry is the last one, and boots by itself if nothing else is left: all
// others are bad or used up, and there is no other system.
func TestRecovery(t *testing.T) {
	s := newShelf(t)
	object, err := s.Stage.AddFile(t.Context(), strings.NewReader("all of it"))
	must(t, err)
	id, err := s.Stage.Publish(&deployment.Manifest{
		Version: deployment.Version, Image: "desktop", Kernel: object, Initramfs: object, KernelVersion: "6.1", KernelArgs: []string{"console=ttyS0"}, Layers: []deployment.Object{}, Recovery: true,
	})
	must(t, err)
	s.doc.Recovery = &state.Recovery{Deployment: id, Image: "desktop", Kernel: "6.1", Made: noon}
	m := s.Menu(where, s.doc, &deployment.Location{})
	if m.Recovery == nil || m.Default == boot.RecoveryID || m.All()[len(m.All())-1].ID != boot.RecoveryID {
		t.Fatalf("%+v", m)
	}
	if args := strings.Join(m.Recovery.Args, " "); !strings.Contains(args, "gitboot.recovery=1") || !strings.HasSuffix(args, " console=ttyS0") {
		t.Errorf("its arguments are %s", args)
	}
	if m.Fallback == boot.RecoveryID {
		t.Error("it boots in place of another system")
	}
	s.doc.Alone = true
	newest := func(state string) {
		for _, img := range s.doc.Images {
			img.Generations = img.Generations[len(img.Generations)-1:]
			s.doc.Verdicts[img.Newest().Deployment].State = state
		}
	}
	s.doc.Verdicts = state.Verdicts{}
	for _, img := range s.doc.Images {
		for _, g := range img.Generations {
			s.doc.Verdicts[g.Deployment] = &state.Verdict{State: boot.Bad}
		}
	}
	if m = s.Menu(where, s.doc, &deployment.Location{}); m.Default != boot.RecoveryID || m.Check() != nil {
		t.Errorf("of bad ones only, %q boots by itself: %v", m.Default, m.Check())
	}
	s.doc.Alone = false
	if m = s.Menu(where, s.doc, &deployment.Location{}); m.Default != "" {
		t.Errorf("of bad ones and another system, %q boots by itself", m.Default)
	}
	s.doc.Alone = true
	newest(boot.Trying)
	if m = s.Menu(where, s.doc, &deployment.Location{}); m.Default == boot.RecoveryID || m.Fallback != boot.RecoveryID || m.Check() != nil {
		t.Errorf("when %q is used up, %q boots: %v", m.Default, m.Fallback, m.Check())
	}
	newest(boot.Bad)
	s.doc.Verdicts[s.doc.Images[s.doc.MenuOrder()[0]].Newest().Deployment].State = boot.Good
	if m = s.Menu(where, s.doc, &deployment.Location{}); !slices.Contains(m.Entry(m.Default).Args, "gitboot.fallback="+boot.RecoveryID) {
		t.Errorf("a good one that is damaged does not give way: %q", m.Entry(m.Default).Args)
	}
	newest(boot.Bad)
	must(t, s.Publish(t.Context(), where, s.doc))
	shown, err := s.Shown()
	if must(t, err); s.Default(s.doc, shown) != boot.RecoveryID {
		t.Errorf("%q is the default that is shown", s.Default(s.doc, shown))
	}
	must(t, os.Remove(s.Stage.ObjectPath(object)))
	if m = s.Menu(where, s.doc, &deployment.Location{}); m.Default != "" || m.Recovery.State != boot.Damaged {
		t.Errorf("a damaged one boots by itself: %q", m.Default)
	}
}

// What boots by itself, and is not on trial, tells process 1 what boots in its place.
func TestTheDefaultNamesItsFallback(t *testing.T) {
	s := newShelf(t)
	s.doc.Order = []string{"desktop"}
	args := func(counted *deployment.Location, id string) string {
		m := s.Menu(where, s.doc, counted)
		return strings.Join(m.Entry(id).Args, " ")
	}
	newest, before := s.id("desktop", 1), s.id("desktop", 0)
	if got := args(&deployment.Location{}, newest); !strings.Contains(got, "gitboot.fallback="+before+" ") {
		t.Errorf("the default has %q", got)
	}
	for what, got := range map[string]string{"another": args(&deployment.Location{}, before), "where nothing can be asked for": args(nil, newest)} {
		if strings.Contains(got, "gitboot.fallback") {
			t.Errorf("%s has %q", what, got)
		}
	}
	s.doc.Verdicts = state.Verdicts{s.doc.Images["desktop"].Generations[1].Deployment: {Image: "desktop", State: boot.Trying, Left: 2}}
	if got := args(&deployment.Location{}, newest); strings.Contains(got, "gitboot.fallback") || !strings.Contains(got, "gitboot.trying=1") {
		t.Errorf("on trial it has %q", got)
	}
	s.doc.Mode = "menu"
	if got := args(&deployment.Location{}, newest); strings.Contains(got, "gitboot.fallback") {
		t.Errorf("in mode menu it has %q", got)
	}
}

// Of copies that are no more nothing is remembered, where the others are seen: there
// would be two more with each kernel.
func TestFormerCopiesAreForgotten(t *testing.T) {
	now, former, menu := "/boot/grub/gitboot/"+strings.Repeat("a", 64), "/boot/grub/gitboot/"+strings.Repeat("b", 64), "/boot/grub/gitboot/gitboot.cfg"
	for _, c := range []struct {
		files []loader.Trace
		want  int
	}{
		{[]loader.Trace{{Name: menu}, {Name: now, Copy: true}}, 1},
		{[]loader.Trace{{Name: menu}}, 3}, // of what is out of reach all is remembered
	} {
		sums := map[string]string{now: "a", former: "b", menu: "c"}
		if (Trace{Files: c.files}).forget(sums); len(sums) != c.want || sums[menu] == "" {
			t.Errorf("%v: %v are remembered", c.files, sums)
		}
	}
}
