package settings

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/tests/need"
)

// docs/agent.md has a row for every key, and an example with a value for each.
func TestEveryAgentKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```toml\n")
	example, _, _ = strings.Cut(example, "```")
	path := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := read(path, true)
	if err != nil {
		t.Fatal(err)
	}
	values, other := valuesOf(reflect.ValueOf(config)), map[string]bool{}
	eachSetting("", reflect.ValueOf(config), func(key string, tag reflect.StructTag, _ reflect.Value) { other[key] = tag.Get("or") != "" })
	for i, key := range keys() {
		if values[i].IsZero() && !other[key] {
			t.Errorf("the example has no %s", key)
		}
		if rows := strings.Count(string(page), "\n| `"+key+"` |"); rows != 1 {
			t.Errorf("%d rows explain %s, want 1", rows, key)
		}
	}
}

// What is wrong with a builder's address is said before anything is done.
func TestBuildkitAddress(t *testing.T) {
	if got := (buildkitConfig{}).find(); got.Builder.Address != "" {
		t.Errorf("none is needed: %+v", got)
	}
	got := buildkitConfig{Address: "unix:///sock", Program: "/opt/speaker"}.find()
	if got.Program != "/opt/speaker" || got.Builder.Address != "unix:///sock" {
		t.Errorf("%+v", got)
	}
}

// Of two words for the same, one is taken; and a password is not repeated.
func TestAgentProxy(t *testing.T) {
	for text, want := range map[string]string{
		"proxy = \"http://u:s3cret@proxy.lan:1\"\nproxy_file = \"/p\"\n": "agent.toml:2: proxy_file = \"/p\": says what proxy says, too; set one of them",
		"proxy = \"ftp://u:s3cret@proxy.lan:1\"\n":                       "agent.toml:1: proxy: is of the kind \"ftp\", which is not supported; write http://, https:// or socks5://",
	} {
		path := filepath.Join(t.TempDir(), "agent.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(path, true); err == nil || strings.TrimSpace(strings.ReplaceAll(err.Error(), path, "agent.toml")) != want {
			t.Errorf("%s%v", text, err)
		}
	}
}

// What is wrong is named with its line, all of it at once.
func TestAgentProblems(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.toml")
	text := `rpo = "x"
repo = "fleet"
stage = "stage"

engine = "bildah"
stage_location = "LABEL=x:/y"
registry_attempts = -1
token_file = "~/token"

[buildkit]
adress = "unix:///sock"
address = "tcp://builder.lan:8372"
cert = "./cert.pem"
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := read(path, true)
	if usage := (*usage.Error)(nil); !errors.As(err, &usage) {
		t.Fatal(err)
	}
	lines := strings.Split(strings.ReplaceAll(err.Error(), path, "agent.toml"), "\n")
	for i, want := range []string{
		`agent.toml:1: rpo: is not a known key (did you mean "repo"?); known are repo, repos, ref, branch, `,
		`agent.toml:2: repo = "fleet": is a relative path, which means another folder wherever gitboot is started; write it from /`,
		`agent.toml:3: stage = "stage": is a relative path`,
		`agent.toml:5: engine = "bildah": is no engine of this gitboot (did you mean "buildah"?); write one of `,
		`agent.toml:6: stage_location = "LABEL=x:/y": names no UUID, by which GRUB finds the stage; give UUID=…:/y`,
		`agent.toml:7: registry_attempts = "-1": is not a positive number`,
		`agent.toml:8: token_file = "~/token": is a relative path`,
		`agent.toml:11: buildkit.adress: is not a known key (did you mean "buildkit.address"?)`,
		`agent.toml:12: buildkit.address = "tcp://builder.lan:8372": cert and key come together`,
		`agent.toml:13: buildkit.cert = "./cert.pem": is a relative path`,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("line %d of\n%s\nshould begin %s", i, strings.Join(lines, "\n"), want)
		}
	}
}

// Who can write agent.toml, or a file that it names, decides what boots here.
func TestAgentFilesOfOthersAreRefused(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	path, token := filepath.Join(dir, "agent.toml"), filepath.Join(dir, "token")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	give := func(path string, uid int) {
		t.Helper()
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	write(path, "token_file = \""+token+"\"\n")
	write(token, "secret")
	if _, err := read(path, true); err != nil {
		t.Fatal(err)
	}
	give(token, 4711)
	if _, err := read(path, true); err == nil || !strings.Contains(err.Error(), "agent.toml:1: token_file") || !strings.Contains(err.Error(), "belongs to user 4711") {
		t.Errorf("a token of another user: %v", err)
	}
	give(token, 0)
	give(path, 4711)
	if _, err := read(path, true); err == nil || !strings.Contains(err.Error(), "agent.toml belongs to user 4711") {
		t.Errorf("an agent.toml of another user: %v", err)
	}
}

// valuesOf gives the values of keys.
func valuesOf(v reflect.Value) (out []reflect.Value) {
	for _, f := range v.Fields() {
		switch {
		case f.Kind() == reflect.Struct:
			out = append(out, valuesOf(f)...)
		case f.Kind() == reflect.Map && f.Type().Elem().Kind() == reflect.Struct:
			one := reflect.Zero(f.Type().Elem())
			for _, name := range f.MapKeys() {
				one = f.MapIndex(name)
			}
			out = append(out, valuesOf(one)...)
		default:
			out = append(out, f)
		}
	}
	return out
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]size{
		"1B": 1, "500MB": 500e6, "1.5TB": 1.5e12, "20 GB": 20e9, "2kB": 2000,
		"": 0, "20": 0, "GB": 0, "0GB": 0, "-1GB": 0, "20GiB": 0, "1e30TB": 0, "NaNGB": 0, "20GBGB": 0, "InfGB": 0,
	} {
		var got size
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d: %v", text, got, err)
		}
	}
}
