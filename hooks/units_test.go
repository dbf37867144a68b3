package hooks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
)

// linksBelow lists a layer's links and removals below a folder.
func linksBelow(e map[string]entry, dir string) (links []string) {
	for p, h := range e {
		if name, ok := strings.CutPrefix(p, dir+"/"); ok && (h.Linkname != "" || strings.Contains(p, "/.wh.")) {
			links = append(links, strings.TrimSpace(name+" "+h.Linkname))
		}
	}
	slices.Sort(links)
	return links
}

func TestUnits(t *testing.T) {
	root := imageOf(t, map[string]string{
		"/lib":                                                     "-> usr/lib",
		"/usr/lib/systemd/system/a.service":                        "[Unit]\n[Install]\n# comment\nWantedBy=multi-user.target \\\n  other.target\nAlias=b.service\nAlso=a.socket none.socket\nRequiredBy=%p-%N.target\n",
		"/usr/lib/systemd/system/a.socket":                         "[Install]\nWantedBy=sockets.target\n",
		"/usr/lib/systemd/system/static.service":                   "[Service]\nExecStart=/x\n",
		"/usr/lib/systemd/system/t@.service":                       "[Install]\nWantedBy=getty.target\nDefaultInstance=one\n",
		"/usr/lib/systemd/system/plain@.service":                   "[Install]\nWantedBy=x.target\n",
		"/usr/lib/systemd/system/old.service":                      "-> a.service",
		"/usr/lib/systemd/system/d.service":                        "[Install]\nWantedBy=multi-user.target\n",
		"/etc/systemd/system/d.service.d/x.conf":                   "[Install]\nWantedBy=\nWantedBy=mine.target\n",
		"/etc/systemd/system/masked.service":                       "-> /dev/null",
		"/usr/lib/systemd/system/off.service":                      "[Install]\nWantedBy=multi-user.target\nAlias=dbus-off.service\nAlso=off.socket\n",
		"/usr/lib/systemd/system/off.socket":                       "[Install]\nWantedBy=sockets.target\n",
		"/etc/systemd/system/multi-user.target.wants/off.service":  "-> /lib/systemd/system/off.service",
		"/etc/systemd/system/multi-user.target.wants/keep.service": "-> /lib/systemd/system/keep.service",
		"/etc/systemd/system/sockets.target.wants/off.socket":      "-> /lib/systemd/system/off.socket",
		"/etc/systemd/system/dbus-off.service":                     "-> /lib/systemd/system/off.service",
	})
	render := func(u kind.Units, more ...kind.File) (map[string]entry, error) {
		e, _, err := renderInput(t, Input{Root: root, Hooks: []kind.Hook{{Name: "h", Files: more, Builtin: &kind.Builtin{Units: &u}}}})
		return e, err
	}
	for _, c := range []struct {
		units kind.Units
		want  string
	}{
		{kind.Units{Enable: []string{"a.service"}}, `[a-a.target.requires/a.service /usr/lib/systemd/system/a.service b.service /usr/lib/systemd/system/a.service multi-user.target.wants/a.service /usr/lib/systemd/system/a.service other.target.wants/a.service /usr/lib/systemd/system/a.service sockets.target.wants/a.socket /usr/lib/systemd/system/a.socket]`},
		{kind.Units{Enable: []string{"t@.service", "t@two.service"}}, `[getty.target.wants/t@one.service /usr/lib/systemd/system/t@.service getty.target.wants/t@two.service /usr/lib/systemd/system/t@.service]`},
		{kind.Units{Enable: []string{"d.service"}}, `[mine.target.wants/d.service /usr/lib/systemd/system/d.service]`},
		{kind.Units{Disable: []string{"off.service", "nowhere.service"}, Mask: []string{"d.service", "not-there.timer"}}, `[.wh.dbus-off.service d.service /dev/null multi-user.target.wants/.wh.off.service not-there.timer /dev/null sockets.target.wants/.wh.off.socket]`},
	} {
		e, err := render(c.units)
		if err != nil {
			t.Errorf("%+v: %v", c.units, err)
		}
		if got := fmt.Sprint(linksBelow(e, "/etc/systemd/system")); got != c.want {
			t.Errorf("%+v\ngot  %s\nwant %s", c.units, got, c.want)
		}
	}
	e, err := render(kind.Units{Enable: []string{"own.service"}, Disable: []string{"off.service"}},
		kind.File{Path: "/etc/systemd/system/own.service", Content: []byte("[Install]\nWantedBy=multi-user.target\n")})
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, e, "/etc/systemd/system/multi-user.target.wants/own.service", "2 0777 0:0 /etc/systemd/system/own.service")
	wantEntry(t, e, "/etc/systemd/system-preset/00-gitboot-h.preset", "0 0644 0:0 "+"# Written by gitboot, hook h. Changes are lost at the next boot.\n"+"disable off.service\nenable own.service\n")
	for name, want := range map[string]string{
		"aa.service": `did you mean "a.service"?`, "static.service": "nothing in its [Install]", "masked.service": "is masked", "plain@.service": "plain@one.service",
	} {
		_, err := render(kind.Units{Enable: []string{name}})
		wantError(t, err, want)
	}
	_, _, err = renderInput(t, Input{Root: imageOf(t, map[string]string{"/etc/x": ""}), Hooks: []kind.Hook{{Name: "h", Builtin: &kind.Builtin{Units: &kind.Units{Mask: []string{"a.service"}}}}}})
	wantError(t, err, "no systemd")
}
