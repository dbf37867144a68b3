package program

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whoever calls gitboot, as by sudo, has no say in what it runs as root.
func TestTheCallersPathIsNotSearched(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"true", "gitboot-planted"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexit 7\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	if err := Command(t.Context(), "true").Run(); err != nil {
		t.Errorf("true: %v", err)
	}
	for _, name := range []string{"gitboot-planted", ""} {
		if err := Command(t.Context(), name).Run(); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheCallersEnvironmentIsNotPassedOn(t *testing.T) {
	t.Setenv("LD_PRELOAD", "/nonexistent.so")
	t.Setenv("SECRET_OF_THE_AGENT", "x")
	t.Setenv("HTTPS_PROXY", "http://proxy:3128")
	t.Setenv("AWS_REGION", "eu")
	out, err := Command(t.Context(), "env").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if want := []string{"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "PATH=" + Path}; !slices.Equal(got, want) {
		t.Errorf("environment %q", got)
	}
	if got := Inherited("HTTPS_PROXY", "AWS_*", "SECRET"); len(got) < 2 || slices.Contains(got, "SECRET_OF_THE_AGENT=x") {
		t.Errorf("inherited %q", got)
	}
}
