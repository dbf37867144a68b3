package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

// What the code has and docs/design.md must name, in code spans.
func TestDesignIsComplete(t *testing.T) {
	data, err := os.ReadFile(root + "/docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, span := range parsePage("docs/design.md", string(data)).spans() {
		said[span] = true
	}
	for what, names := range map[string][]string{
		"kernel parameter":                 kernelParameters(t),
		"step of apply":                    applySteps(t),
		"folder with a program or package": packageFolders(t),
		"field of state.json":              jsonFields(reflect.TypeFor[state.Machine]()),
		"field of workshop/state.json":     jsonFields(reflect.TypeFor[state.Workshop]()),
		"field of a run":                   jsonFields(reflect.TypeFor[state.Run]()),
		"field of a manifest":              jsonFields(reflect.TypeFor[deployment.Manifest]()),
	} {
		if len(names) < 5 {
			t.Errorf("found only %d of: %s", len(names), what)
		}
		for _, name := range names {
			if !said[name] {
				t.Errorf("docs/design.md: there is nothing about the %s `%s`", what, name)
			}
		}
	}
}

// find returns the first group of every match in one of our sources.
func find(t *testing.T, file, pattern string) (out []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(data), -1) {
		out = append(out, m[1])
	}
	return out
}

func kernelParameters(t *testing.T) []string {
	return find(t, "deployment/cmdline.go", `Param\w+ += "([a-z.]+)"`)
}

func applySteps(t *testing.T) []string {
	return append(find(t, "reconciler/machine/apply.go", `(?:\{|step\{)"([a-z-]+)", (?:""|plan\.\w+), a\.`), find(t, "reconciler/workshop/job.go", `\{"([a-z]+)", (?:j|maker\{j\}|publisher\{j\})\.`)...)
}

// packageFolders lists the folders with Go code, but for the tests'.
func packageFolders(t *testing.T) (out []string) {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		folder, relErr := filepath.Rel(root, filepath.Dir(path))
		if err != nil || relErr != nil || seen[folder] || strings.HasPrefix(folder, "tests") || !strings.HasSuffix(path, ".go") {
			return err
		}
		seen[folder] = true
		out = append(out, folder)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// jsonFields lists the names of a struct's fields, and of those within that
// are no documents of their own.
func jsonFields(typ reflect.Type) (out []string) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return nil
	}
	for field := range typ.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			out = append(out, name)
			out = append(out, jsonFields(field.Type)...)
		}
	}
	return out
}
