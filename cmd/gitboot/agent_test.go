package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// docs/agent.md has a row for every key, and an example with a value for each.
func TestEveryAgentKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```toml\n")
	example, _, _ = strings.Cut(example, "```")
	path := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := loadAgentConfig(path, true)
	if err != nil {
		t.Fatal(err)
	}
	values := settings(reflect.ValueOf(config))
	for i, key := range agentKeys() {
		if values[i].IsZero() {
			t.Errorf("the example has no %s", key)
		}
		if rows := strings.Count(string(page), "\n| `"+key+"` |"); rows != 1 {
			t.Errorf("%d rows explain %s, want 1", rows, key)
		}
	}
}

// What is wrong with a builder's address is said before anything is done.
func TestBuildkitAddress(t *testing.T) {
	if got, err := (buildkitConfig{}).find(); err != nil || got.Builder.Address != "" {
		t.Errorf("none is needed: %+v %v", got, err)
	}
	got, err := buildkitConfig{Address: "unix:///sock", Program: "/opt/speaker"}.find()
	if err != nil || got.Program != "/opt/speaker" || got.Builder.Address != "unix:///sock" {
		t.Errorf("%+v %v", got, err)
	}
	_, err = buildkitConfig{Address: "tcp://builder.lan:8372"}.find()
	if usage := (usageError{}); !errors.As(err, &usage) || !strings.Contains(err.Error(), `buildkit.address = "tcp://builder.lan:8372": without ca`) {
		t.Error(err)
	}
}

func TestUnknownKeyOfASection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(path, []byte("[buildkit]\nadress = \"unix:///sock\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadAgentConfig(path, true); err == nil || !strings.Contains(err.Error(), `unknown key "buildkit.adress"`) || !strings.Contains(err.Error(), "buildkit.address, ") {
		t.Error(err)
	}
}

// settings are the values of agentKeys.
func settings(v reflect.Value) (out []reflect.Value) {
	for _, f := range v.Fields() {
		if f.Kind() == reflect.Struct {
			out = append(out, settings(f)...)
		} else {
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
