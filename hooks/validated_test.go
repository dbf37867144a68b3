package hooks

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/spec"
)

// good are values by key, of which most must be right for anything to pass.
var good = map[string][]string{
	"device": {"UUID=1-2", "nas:/srv my", "/dev/sda1"}, "path": {"/etc/a", "/etc/a/b", "/srv", "none", "swap", "/usr/x"},
	"type": {"ext4", "swap", "auto"}, "options": {"defaults", "m a=1", "edns0"}, "name": {"ada", "eth0", "lan0", "root", "box.lan"},
	"domain": {"lan"}, "value": {"0123456789abcdef0123456789abcdef"}, "types": {"ed25519"}, "user": {"root", "ada"}, "owner": {"0:0", "1000:1000"},
	"home": {"/home/ada", "/etc/passwd"}, "keys": {publicKey}, "nameservers": {"9.9.9.9", "::1"}, "search": {"lan"}, "link": {"../x"},
	"enable": {"a.service", "t@x.service"}, "disable": {"a.service", "b.timer"}, "mask": {"m.service"}, "set": {"a.b = 1", "-c/d=2", "LC_TIME=C"},
	"load": {"m"}, "blacklist": {"m"}, "zone": {"UTC", "Europe/Berlin"}, "lang": {"C.UTF-8"}, "groups": {"sudo"}, "shell": {"/bin/sh"},
	"comment": {"Ada L."}, "password_hash": {"$6$salt$aaaaaaaaaaaaaaaaaaaaaaaa"}, "backend": {"ifupdown", "systemd-networkd"},
	"mac": {"52:54:00:12:34:56"}, "addresses": {"192.0.2.10/24", "2001:db8::10/64"}, "gateways": {"192.0.2.1"}, "dns": {"9.9.9.9"},
	"to": {"/a", "../b"}, "mode": {"0755", "4711"}, "remove": {"/etc/a", "/etc", "/nowhere"}, "content": {"x", "#!/bin/sh\n"},
}

var nasty = []string{
	"", " ", "a b", "/", "//a", "/a/", "/a/../b", "x\ty", "x\ny", "a:b", "-", "@", "é", strings.Repeat("a", 300), "/etc/.wh.x", "/.wh..wh..opq", "/" + strings.Repeat("b", 256),
	"none", "0", "a=b", "%", "{{ .Machine.Name }}", "{{ .Vars.odd }}", "#", `\`, `"`, "lo", "::1", "0.0.0.0", "10.0.0.1/33", "$6$", "*", "..", ".", "\u0085", "'", ";", "[x]",
	"/usr/lib/gitboot/at-boot", "/etc/hostname/x", "/etc", "/lib/x", "-.service", "@.service", "a@@b.service", "1:1",
}

type generator struct{ *rand.Rand }

func (g generator) value(key string, t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		if g.IntN(24) == 0 {
			return strconv.Itoa([]int{0, -1, 70000}[g.IntN(3)])
		}
		return strconv.Itoa(map[string]int{"uid": 1000, "gid": 1000, "mtu": 1400}[key] + g.IntN(2))
	case reflect.Bool:
		return strconv.FormatBool(g.IntN(2) == 0)
	case reflect.Slice:
		items := make([]string, g.IntN(3))
		for i := range items {
			items[i] = g.value(key, t.Elem())
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	values := good[key]
	if len(values) == 0 || g.IntN(24) == 0 {
		values = nasty
	}
	return quoted(values[g.IntN(len(values))])
}

// quoted writes a TOML string: JSON's, but for what TOML has no letter for.
func quoted(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' || c == 0x7f || c > 0x7e {
			fmt.Fprintf(&b, `\u%04x`, c)
			continue
		}
		b.WriteRune(c)
	}
	return `"` + b.String() + `"`
}

// table writes some of the keys of a struct of hooks/kind.
func (g generator) table(b *strings.Builder, name string, t reflect.Type, array bool) {
	if array {
		fmt.Fprintf(b, "[[%s]]\n", name)
	} else {
		fmt.Fprintf(b, "[%s]\n", name)
	}
	var tables []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("key")
		switch {
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			tables = append(tables, f)
		case key == "sources" || g.IntN(4) == 0 && f.Tag.Get("required") == "":
		default:
			fmt.Fprintf(b, "%s = %s\n", key, g.value(key, f.Type))
		}
	}
	for _, f := range tables {
		for range 1 + g.IntN(2) {
			g.table(b, name+"."+f.Tag.Get("key"), f.Type.Elem(), true)
		}
	}
}

// hook writes one hook with a built-in and declared things.
func (g generator) hook(b *strings.Builder, name, builtin string, t reflect.Type) {
	fmt.Fprintf(b, "[hook.%s]\nremove = %s\n", name, g.value("remove", reflect.TypeFor[[]string]()))
	g.table(b, "hook."+name+"."+builtin, t, false)
	str := reflect.TypeFor[string]()
	for _, part := range [][]string{{"file", "path", "content"}, {"link", "path", "to"}, {"dir", "path", "mode", "owner"}, {"at_boot", "content"}} {
		if g.IntN(4) > 0 {
			continue
		}
		fmt.Fprintf(b, "[[hook.%s.%s]]\n", name, part[0])
		for _, key := range part[1:] {
			fmt.Fprintf(b, "%s = %s\n", key, g.value(key, str))
		}
	}
}

// TestWhatValidatesRenders holds that what a config repo can say of hooks is
// refused before they are rendered, or never but for what the image has.
func TestWhatValidatesRenders(t *testing.T) {
	root := imageOf(t, map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\nsudo:x:27:\n", "/etc/shadow": "root:*:::::::\n", "/usr/sbin/ifup": "",
		"/usr/lib/systemd/systemd-networkd": "", "/usr/lib/systemd/system/systemd-networkd.service": "[Install]\nWantedBy=multi-user.target\n", "/lib": "-> usr/lib",
		"/usr/lib/systemd/system/a.service": "[Install]\nWantedBy=x.target\n", "/usr/lib/systemd/system/t@.service": "[Install]\nWantedBy=x.target\n", "/usr/share/zoneinfo/UTC": "",
	})
	g := generator{rand.New(rand.NewPCG(1, 2))}
	state := t.TempDir()
	builtins := reflect.TypeFor[kind.Builtin]()
	passed := map[string]int{}
	for n := range 2600 {
		f := builtins.Field(n % builtins.NumField())
		name := f.Tag.Get("key")
		var b strings.Builder
		b.WriteString("[image.i]\npull = \"i\"\n[machine.m]\nimages = [\"i\"]\nhooks = [\"h\", \"again\"]\nvars = { odd = \"a b\" }\n")
		g.hook(&b, "h", name, f.Type.Elem())
		b.WriteString("[hook.again.hostname]\n")
		fleet, err := spec.Load(t.Context(), fstest.MapFS{spec.RootFile: {Data: []byte(b.String())}})
		if err != nil {
			if strings.Contains(err.Error(), "TOML") {
				t.Fatalf("%s\n%v", b.String(), err)
			}
			continue
		}
		wants, err := fleet.Resolve(t.Context(), "m")
		if err != nil {
			continue
		}
		out, err := Render(t.Context(), Input{Machine: "m", Image: "i", Hooks: wants.Images[0].Hooks, Root: root, StateDir: state, TempDir: t.TempDir()})
		if err != nil && !ofTheImage(err) {
			t.Errorf("%s\nis valid, and cannot be rendered: %v", b.String(), err)
		}
		out.Close()
		if err == nil {
			passed[name]++
		}
	}
	for _, name := range kind.Names() {
		if passed[name] < 5 {
			t.Errorf("only %d hooks with %s passed: the test says little of it", passed[name], name)
		}
	}
}

// ofTheImage reports whether an error is one that only the image decides.
func ofTheImage(err error) bool {
	return strings.Contains(err.Error(), "image") || strings.Contains(err.Error(), "unit") ||
		strings.Contains(err.Error(), "it is there with another number") || strings.Contains(err.Error(), "give it another")
}
