package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// nasty is a name that would clear the screen, turn text round and end the
// line, if it were printed as it is.
const nasty = "a\x1b[2Jb\u202ec\u009b31md\u2066"

// TestNothingRawIsPrinted holds that what strangers named reaches nobody's
// terminal, as text or as JSON.
func TestNothingRawIsPrinted(t *testing.T) {
	dir := t.TempDir()
	config := "include = [\"*.toml\"]\n[image.\"" + tomlEscape(nasty+"\ne") + "\"]\npull = \"" + tomlEscape(nasty) + "\"\n[machine.m]\nimages = [\"" + tomlEscape(nasty) + "\"]\n"
	for name, text := range map[string]string{"gitboot.toml": config, nasty + ".toml": "x =\n", "bad\xff.toml": "x =\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	agent := filepath.Join(dir, nasty+"agent")
	if err := os.WriteFile(agent, []byte("\""+tomlEscape(nasty)+"\" = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"problems":          {"validate", dir},
		"problems as JSON":  {"validate", dir, "--json"},
		"folder":            {"validate", filepath.Join(dir, nasty)},
		"command":           {nasty},
		"flag":              {"plan", "--" + nasty},
		"argument":          {"status", nasty},
		"settings":          {"status", "--config", agent},
		"log level":         {"plan", "--repo", dir, "--config", os.DevNull, "--stage", filepath.Join(dir, "stage"), "--log-level", nasty},
		"repo":              {"plan", "--repo", nasty, "--config", os.DevNull, "--stage", filepath.Join(dir, "stage"), "--machine", nasty},
		"repo in a log":     {"reconcile", "--once", "--repo", filepath.Join(dir, nasty), "--config", os.DevNull, "--stage", filepath.Join(dir, "stage"), "--machine", "m"},
		"deployment":        {"boot", "default", nasty, "--config", os.DevNull, "--stage", filepath.Join(dir, "stage")},
		"completed machine": {"__complete", "plan", nasty},
	} {
		var out, errs bytes.Buffer
		run(args, &out, &errs)
		printed := out.String() + errs.String()
		if printed == "" {
			t.Errorf("%s: nothing was printed", name)
		}
		if i := strings.IndexFunc(printed, raw); i >= 0 {
			t.Errorf("%s: raw at %d of %q", name, i, printed)
		}
	}
}

func raw(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' && r != '\t' }

func tomlEscape(s string) string {
	return strings.NewReplacer("\x1b", `\u001b`, "\u202e", `\u202e`, "\u009b", `\u009b`, "\u2066", `\u2066`, "\n", `\n`).Replace(s)
}

// TestOneEdge holds that commands print through what run gives them.
func TestOneEdge(t *testing.T) {
	files, err := filepath.Glob("*.go")
	below, globErr := filepath.Glob("internal/*/*.go")
	if err = errors.Join(err, globErr); err != nil || len(files) == 0 || len(below) == 0 {
		t.Fatal(files, below, err)
	}
	files = append(files, below...)
	for _, name := range slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") || name == "main.go" }) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"os.Stdout", "os.Stderr", "fmt.Print"} {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%s uses %s: print to the command's OutOrStdout or ErrOrStderr", name, word)
			}
		}
	}
}
