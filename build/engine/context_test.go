package engine_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

func TestContextIsWritten(t *testing.T) {
	files := recipetest.Repo(map[string]string{"a": "a", "tool": "#!/bin/sh\n", "d/e": "e", ".dockerignore": "*\n", "f": "FROM $GITBOOT_FROM\nCOPY . /\n"})
	files["link"] = &fstest.MapFile{Data: []byte("d/e"), Mode: fs.ModeSymlink | 0o777}
	p := enginetest.Prepare(t, recipe.Recipe{FS: files, Containerfiles: []string{"f"}, Copy: []recipe.Copy{{From: "a", To: "/a"}}})
	dir := t.TempDir()
	if err := engine.WriteContext(p, dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Files {
		info, err := os.Lstat(filepath.Join(dir, f.Name))
		if err != nil || info.Mode().Type() != f.Mode.Type() || info.Mode().IsRegular() && info.Mode() != f.Mode {
			t.Errorf("%s is %v, not %v (%v)", f.Name, info, f.Mode, err)
		}
	}
	ignored, err := os.ReadFile(filepath.Join(dir, ".dockerignore"))
	if err != nil || string(ignored) != "*\n\n!.gitboot\n!.gitboot/**\n" {
		t.Errorf("%q %v", ignored, err)
	}
}
