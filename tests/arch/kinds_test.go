package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
)

// namesKinds are the files beside its own two that name a built-in kind: a new
// one is added to the first two, and to no others.
var namesKinds = map[string]string{
	"hooks/kind/builtin.go":          "a field for each",
	"hooks/builtin/builtin.go":       "a case for each, and which comes last",
	"hooks/formerdisk/formerdisk.go": "an fstab hook says which devices are wanted",
}

// A built-in kind of hook has a file that declares it and one that renders it.
func TestAKindOfHookIsDeclaredOnce(t *testing.T) {
	kinds := map[string][]string{} // what names a kind, by it
	fields := reflect.TypeFor[kind.Builtin]()
	for i := range fields.NumField() {
		kinds[fields.Field(i).Name] = nil
	}
	for _, r := range rules {
		for _, file := range shippedFiles(t, r.folder) {
			name := strings.TrimPrefix(file, "../../")
			for _, k := range kindsIn(t, file) {
				if _, is := kinds[k]; is && namesKinds[name] == "" {
					kinds[k] = append(kinds[k], name)
				}
			}
		}
	}
	for k, files := range kinds {
		slices.Sort(files)
		if files = slices.Compact(files); len(files) != 1 || filepath.Dir(files[0]) != "hooks/builtin" {
			t.Errorf("%s is named in %q, and should be in one file of hooks/builtin", k, files)
		}
	}
}

// kindsIn returns what a file may mean by kind.Name or Builtin.Name.
func kindsIn(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := s.X.(*ast.SelectorExpr); ok && from.Sel.Name == "Builtin" {
			names = append(names, s.Sel.Name)
		}
		if from, ok := s.X.(*ast.Ident); ok && from.Name == "kind" {
			names = append(names, s.Sel.Name)
		}
		return true
	})
	return names
}
