package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Beyond these a type, a package or a file hides another concept.
const (
	maxMethods = 25
	maxFiles   = 15
	maxLines   = 400
)

// tall are the types and packages that have outgrown their bound, with what they
// have now: they may shrink, and must not grow.
var tall = map[string]struct {
	size int
	why  string
}{}

// shippedFiles returns the Go files of a package, tests apart.
func shippedFiles(t *testing.T, folder string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if !strings.HasSuffix(file, "_test.go") {
			files = append(files, file)
		}
	}
	return files
}

func TestSizes(t *testing.T) {
	sizes := map[string]int{}
	for _, r := range rules {
		files := shippedFiles(t, r.folder)
		// A file a command is what cmd/gitboot is to be: what is counted are its
		// other concepts.
		sizes[r.folder] = len(slices.DeleteFunc(slices.Clone(files), isCommand))
		methods := map[string]int{}
		for _, file := range files {
			countMethods(t, file, methods)
		}
		for name, n := range methods {
			sizes[r.folder+"."+name] = n
		}
	}
	for name, size := range sizes {
		bound := maxFiles
		if strings.Contains(filepath.Base(name), ".") {
			bound = maxMethods
		}
		known, outgrown := tall[name]
		switch {
		case outgrown && size <= bound:
			t.Errorf("%s has %d, within the bound of %d: take it from the list", name, size, bound)
		case outgrown && size > known.size:
			t.Errorf("%s has %d, and %d were known (%s)", name, size, known.size, known.why)
		case !outgrown && size > bound:
			t.Errorf("%s has %d, the bound is %d: which other concept is in it?", name, size, bound)
		}
	}
	for name := range tall {
		if sizes[name] == 0 {
			t.Errorf("%s is on the list, and is not there", name)
		}
	}
}

func isCommand(file string) bool { return strings.HasPrefix(filepath.Base(file), "cmd_") }

// countMethods adds the methods of each type that a file has.
func countMethods(t *testing.T, file string, methods map[string]int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "\n"); n > maxLines {
		t.Errorf("%s has %d lines, the bound is %d", file, n, maxLines)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, data, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
			methods[receiver(f.Recv.List[0].Type)]++
		}
	}
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
