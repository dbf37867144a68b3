package deployment

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func health() *Health {
	return &Health{
		After: AfterStart, Settle: 5, Deadline: 300,
		Required: &Checks{
			Hosts: []string{"192.0.2.1", "gw.example.org:22", "2001:db8::1", "[2001:db8::1]:443"}, Units: []string{"sshd.service", `a\x2db@c.mount`},
			Commands: [][]string{{"/usr/bin/test", "-e", "/a b"}, {"true"}},
		},
		Wanted:  &Checks{Units: []string{"cups"}},
		Confirm: ConfirmOutside, ConfirmWithin: 600, ConfirmURL: "http://192.0.2.1:8080/ok?m=a",
	}
}

func TestHealthRoundTrip(t *testing.T) {
	m := manifest()
	m.Health = health()
	data, err := m.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseManifest(data, ID(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
	if plain, _ := manifest().Canonical(); ID(plain) == ID(data) {
		t.Error("another health is the same deployment")
	}
	if diff := cmp.Diff(*health(), got.Judged()); diff != "" {
		t.Error(diff)
	}
	standard := manifest().Judged()
	if err := standard.Validate(); err != nil || standard != DefaultHealth() {
		t.Errorf("what nothing is said of is judged by %+v, %v", standard, err)
	}
}

func TestHealthRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Health){
		"after":                 func(h *Health) { h.After = "" },
		"negative":              func(h *Health) { h.Settle = -1 },
		"no deadline":           func(h *Health) { h.Deadline = 0 },
		"two days":              func(h *Health) { h.Deadline = 2 * maxWait },
		"settles too long":      func(h *Health) { h.Settle = h.Deadline },
		"confirm":               func(h *Health) { h.Confirm = "inside" },
		"no time":               func(h *Health) { h.ConfirmWithin = 0 },
		"nobody to confirm":     func(h *Health) { h.Confirm = "" },
		"https":                 func(h *Health) { h.ConfirmURL = "https://a/" },
		"a URL of two lines":    func(h *Health) { h.ConfirmURL = "http://a/b\r\nc" },
		"a URL with a user":     func(h *Health) { h.ConfirmURL = "http://a@b/" },
		"host":                  func(h *Health) { h.Required.Hosts = []string{"a b"} },
		"port":                  func(h *Health) { h.Required.Hosts = []string{"a:0"} },
		"port of six digits":    func(h *Health) { h.Required.Hosts = []string{"[::1]:65536"} },
		"something else":        func(h *Health) { h.Required.Hosts = []string{"[::1]x"} },
		"no address":            func(h *Health) { h.Required.Hosts = []string{"[a]:1"} },
		"option for a unit":     func(h *Health) { h.Wanted.Units = []string{"--all"} },
		"unit":                  func(h *Health) { h.Wanted.Units = []string{"a/b"} },
		"empty unit":            func(h *Health) { h.Wanted.Units = []string{""} },
		"no command":            func(h *Health) { h.Required.Commands = [][]string{{}} },
		"relative":              func(h *Health) { h.Required.Commands = [][]string{{"bin/x"}} },
		"a zero byte":           func(h *Health) { h.Required.Commands = [][]string{{"a", "\x00"}} },
		"a command without end": func(h *Health) { h.Required.Commands = [][]string{slices.Repeat([]string{"a"}, 51)} },
		"more than anybody has": func(h *Health) { h.Required.Units = slices.Repeat([]string{"a"}, 51) },
	} {
		h := health()
		spoil(h)
		if err := h.Validate(); err == nil {
			t.Errorf("%s is taken", name)
		}
		m := manifest()
		m.Health = h
		if _, err := m.Canonical(); err == nil {
			t.Errorf("%s is written", name)
		}
	}
}

func TestParseHost(t *testing.T) {
	for s, want := range map[string]Host{
		"a": {Name: "a"}, "a.b.": {Name: "a.b."}, "a:1": {"a", 1}, "192.0.2.1": {Name: "192.0.2.1"}, "192.0.2.1:65535": {"192.0.2.1", 65535},
		"::1": {Name: "::1"}, "[::1]": {Name: "::1"}, "[::1]:2": {"::1", 2}, "fe80::1%eth0": {Name: "fe80::1%eth0"},
	} {
		if got, err := ParseHost(s); err != nil || got != want {
			t.Errorf("%s is %+v, %v", s, got, err)
		}
	}
}

func TestParseURL(t *testing.T) {
	for s, want := range map[string]URL{
		"http://a":              {Host{"a", 80}, "a", "/"},
		"http://a:81/b?c=d&e=%": {Host{"a", 81}, "a:81", "/b?c=d&e=%"},
		"http://[::1]:8/x/y":    {Host{"::1", 8}, "[::1]:8", "/x/y"},
	} {
		if got, err := ParseURL(s); err != nil || got != want {
			t.Errorf("%s is %+v, %v", s, got, err)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"a:1", "[::1]:2", "http://a/b", "-a", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := ParseHost(s); err == nil && (h.Name == "" || strings.ContainsAny(h.Name, " \r\n/\x00")) {
			t.Errorf("%q is %+v", s, h)
		}
		if u, err := ParseURL(s); err == nil && strings.ContainsAny(u.Authority+u.Path, " \r\n\x00") {
			t.Errorf("%q is %+v", s, u)
		}
	})
}
