package page

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/tests/need"
)

var (
	shots = flag.String("screenshots", "", "keep screenshots in this folder")
	axe   = flag.String("axe", "", "file of axe-core, to check the page by it, too")
)

// A browser is Debian's chromium, with what it complained about and asked for.
type browser struct {
	context.Context
	mu                sync.Mutex
	complaints, asked []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	program := need.Program(t, "chromium-headless-shell")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{Context: ctx}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	// The browser starts with the first action, and lives for as long as its context;
	// chromedp itself bounds how long that may take.
	if _, err := chromedp.Run(b, call(log.Enable, cdp.Empty{})); err != nil {
		t.Fatal(err)
	}
	b.do(t, call(network.Enable, network.EnableParams{}), call(runtime.Enable, cdp.Empty{}))
	return b
}

// patience is many times what one action takes, however busy the computer is. It is
// of each, so that what a test does besides takes nothing from it.
const patience = 30 * time.Second

// soon runs an action that is to come to its end before long.
func soon[T any](b *browser, a chromedp.Action[T]) (T, error) {
	ctx, stop := context.WithTimeout(b, patience)
	defer stop()
	return chromedp.Run(ctx, a)
}

// note keeps what the browser says.
func (b *browser) note(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, ev.Entry.Text+" "+ev.Entry.URL)
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, ev.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, ev.Request.URL)
	}
}

// call is a command of the protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	for _, step := range steps {
		get(t, b, step)
	}
}

// sends runs an action that sends a form, waits for the page that follows, and
// looks whether it says what was done.
func (b *browser) sends(t *testing.T, a chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, stop := context.WithTimeout(b, patience)
	defer stop()
	if _, err := chromedp.RunResponse(ctx, a); err != nil {
		t.Fatal(err)
	}
	if text := get(t, b, chromedp.Text("body")); !strings.Contains(text, "done: ") {
		t.Errorf("the page does not say what was done: %s", text)
	}
}

// get runs an action and returns what it gives.
func get[T any](t *testing.T, b *browser, a chromedp.Action[T]) T {
	t.Helper()
	out, err := soon(b, a)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// screen is a width in a colour scheme.
func screen(width int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.EmulateViewport(width, 900),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
}

// checks are what must hold of a page, however wide and in whichever colours:
// each returns what is wrong.
const checks = `(() => {
	const wrong = [];
	if (document.documentElement.scrollWidth > innerWidth) wrong.push("wider than the screen: " + document.documentElement.scrollWidth);
	const rgb = (s) => { const m = s.match(/[\d.]+/g).map(Number); return m.length === 3 ? [...m, 1] : m; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
	const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	for (const e of document.querySelectorAll("body *")) {
		const box = e.getBoundingClientRect(), style = getComputedStyle(e);
		if (box.width === 0 || style.visibility === "hidden" || e.closest(".skip,.hidden,script,style")) continue;
		if ([...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) {
			const a = light(rgb(style.color)), b = light(behind(e)), contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
			if (contrast < 4.5) wrong.push("contrast " + contrast.toFixed(2) + ": " + e.textContent.slice(0, 40));
		}
		if (e.matches("button,a.button,input:not([type=hidden])") && box.height < 24) wrong.push("too small to be hit: " + e.outerHTML.slice(0, 80));
		if (e.matches("input:not([type=hidden])") && !e.labels.length && !e.ariaLabel) wrong.push("has no label: " + e.outerHTML.slice(0, 80));
		if (e.matches("section") && !(e.ariaLabel || document.getElementById(e.getAttribute("aria-labelledby")))) wrong.push("has no name: " + e.id);
		for (const a of e.attributes) if (a.name.startsWith("on") || a.name === "style") wrong.push("inline: " + a.name);
	}
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) wrong.push("twice: #" + id);
	let level = 0;
	for (const h of document.querySelectorAll("h1,h2,h3,h4")) { const n = Number(h.tagName[1]); if (n > level + 1) wrong.push("a level is left out before " + h.textContent); level = n; }
	if (document.querySelectorAll("main").length !== 1 || document.querySelectorAll("h1").length !== 1 || !document.title || !document.documentElement.lang) wrong.push("no main, h1, title or language");
	return wrong;
})()`

// follows waits until the page has been told how things are.
func follows() chromedp.Action[chromedp.Void] { return chromedp.WaitReady("html[data-updates]") }

// It can be read in both widths and colour schemes, by who acts and who looks, at
// rest and at work, and asks for nothing but itself.
func TestLooks(t *testing.T) {
	need.Long(t)
	b := newBrowser(t)
	for _, busy := range []bool{false, true} {
		w := newWorld(t)
		if w.rest(); busy {
			w.work()
			w.fail()
		}
		for _, width := range []int64{360, 1600} {
			for _, scheme := range []string{"light", "dark"} {
				at := w.url + "/"
				if busy {
					at = w.url + "/open?key=" + w.Key("ada")
				}
				b.do(t, screen(width, scheme), chromedp.Navigate(at), follows())
				wrong := get(t, b, chromedp.Evaluate[[]string](checks))
				name := fmt.Sprintf("%d-%s-%v", width, scheme, map[bool]string{true: "busy", false: "rest"}[busy])
				for _, what := range append(wrong, axed(t, b)...) {
					t.Errorf("%s: %s", name, what)
				}
				keep(t, b, name, chromedp.FullScreenshot(100))
			}
		}
		for _, url := range b.asked {
			if !strings.HasPrefix(url, w.url+"/") && !strings.HasPrefix(url, "data:image/svg") && !strings.HasPrefix(url, "http://127.0.0.1:") {
				t.Errorf("it asks for %s", url)
			}
		}
	}
	for _, c := range b.complaints {
		t.Errorf("the browser complains: %s", c)
	}
}

// The picture of the README: go test ./agent/page -run TestPicture -screenshots ../../docs
func TestPicture(t *testing.T) {
	need.Long(t)
	b, w := newBrowser(t), newWorld(t)
	w.work()
	b.do(t, chromedp.EmulateViewport(1200, 800), chromedp.Navigate(w.url+"/open?key="+w.Key("ada")), follows())
	picture := get(t, b, chromedp.CaptureScreenshot())
	if len(picture) > 200_000 {
		t.Errorf("it has %d bytes", len(picture))
	}
	keep(t, b, "page", chromedp.CaptureScreenshot())
}

// axed is what axe-core finds, if there is one.
func axed(t *testing.T, b *browser) []string {
	if *axe == "" {
		return nil
	}
	script, err := os.ReadFile(*axe)
	if err != nil {
		t.Fatal(err)
	}
	get(t, b, chromedp.Evaluate[int](string(script)+";0"))
	return get(t, b, chromedp.Evaluate[[]string](`axe.run().then((r) => r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 100)).join(" | ")))`, chromedp.EvalAwaitPromise))
}

// keep keeps a picture of the page, if somebody wants to see it: a whole page takes
// longer to draw and to pack than all else that is done with it.
func keep(t *testing.T, b *browser, name string, take chromedp.Action[[]byte]) {
	t.Helper()
	if *shots == "" {
		return
	}
	picture := get(t, b, take)
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

// With a keyboard alone everything is reached, in the page's order, and what is
// reached is seen; what somebody types stays while the page changes around it.
func TestKeyboard(t *testing.T) {
	need.Long(t)
	b, w := newBrowser(t), newWorld(t)
	w.rest()
	b.do(t, screen(1600, "light"), chromedp.Navigate(w.url+"/open?key="+w.Key("ada")), follows())
	reached := map[string]bool{}
	for range 60 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
		at := get(t, b, chromedp.Evaluate[string](`(() => { const e = document.activeElement; if (e === document.body) return ""; const s = getComputedStyle(e); return (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2 ? "UNSEEN " : "") + e.tagName + " " + (e.ariaLabel || e.textContent.trim().slice(0, 40)); })()`))
		if reached[at] = true; strings.HasPrefix(at, "UNSEEN") {
			t.Errorf("where the keyboard is cannot be seen: %s", at)
		}
	}
	for _, want := range []string{"A Skip to the images", "SUMMARY packages: 24 upgraded, 1 added", "INPUT Label for desktop:12", "BUTTON Pin desktop:12 with this label", "BUTTON Make default: desktop:11", "BUTTON Reconcile now", "A What would change"} {
		if !reached[want] {
			t.Errorf("the keyboard does not reach %q of %q", want, slices.Sorted(maps.Keys(reached)))
		}
	}
	const label = `[aria-label="Label for desktop:12"]`
	b.do(t, chromedp.SendKeys(label, "mine"))
	generation := w.staged.Images[0].Generations[2]
	generation.Generation = 99
	w.staged.Images[0].Generations = append(w.staged.Images[0].Generations, generation)
	w.board.Tell(event.Event{Time: time.Now(), Kind: event.Failed, Machine: "laptop", Part: event.Machine, Error: "no space left"})
	b.do(t, chromedp.WaitVisible("#alerts .alert"))
	if got := get(t, b, chromedp.Value(label)); got != "mine" {
		t.Errorf("what was typed has become %q", got)
	}
	b.sends(t, chromedp.KeyEvent(kb.Enter))
	if len(w.did) != 1 || w.did[0] != "ada pin {desktop:12 mine  }" {
		t.Errorf("done was %q", w.did)
	}
}

// With scripts switched off it can be read, and its forms do what they say.
func TestWithoutScripts(t *testing.T) {
	need.Long(t)
	b, w := newBrowser(t), newWorld(t)
	w.work()
	w.fail()
	b.do(t, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), screen(360, "light"),
		chromedp.Navigate(w.url+"/open?key="+w.Key("ada")), chromedp.WaitVisible("noscript .link"))
	keep(t, b, "360-light-noscript", chromedp.FullScreenshot(100))
	text := get(t, b, chromedp.Text("body"))
	for _, want := range []string{"Stalled", "the registry answers 401", "Setting up firefox-esr", "packages: 24 upgraded, 1 added", "runs now", "Load it again"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	b.sends(t, chromedp.Click(`[aria-label="Unpin desktop:7"]`))
	if len(w.did) != 1 || w.did[0] != "ada unpin {desktop:7   }" {
		t.Errorf("done was %q", w.did)
	}
}

// A page of another gitboot is loaded again, and one whose agent is gone says so.
func TestAgentEnds(t *testing.T) {
	need.Long(t)
	b, w := newBrowser(t), newWorld(t)
	w.rest()
	b.do(t, chromedp.Navigate(w.url), follows())
	w.server.CloseClientConnections()
	w.server.Close()
	b.do(t, chromedp.WaitVisible("#link"))
	if text := get(t, b, chromedp.Text("#link")); !strings.Contains(text, "does not answer") {
		t.Errorf("the page says %q", text)
	}
}
