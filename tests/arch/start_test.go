package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// Each start would compile what one in a thousand needs: expressions of packages are
// compiled when they are first used.
func TestNoExpressionIsCompiledAtStart(t *testing.T) {
	seen := 0
	for _, p := range list(t, "-deps", "./cmd/gitboot") {
		folder, ours := strings.CutPrefix(p.path, module)
		if !ours {
			continue
		}
		for _, file := range shippedFiles(t, folder) {
			for _, at := range compiledAtStart(t, file) {
				t.Errorf("%s: an expression is compiled at each start; use sync.OnceValue", at)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("no file was looked at")
	}
}

func compiledAtStart(t *testing.T, file string) (places []string) {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		if _, is := decl.(*ast.GenDecl); !is {
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if call, is := n.(*ast.SelectorExpr); is && call.Sel.Name == "MustCompile" {
				places = append(places, files.Position(n.Pos()).String())
			}
			_, later := n.(*ast.FuncLit)
			return !later
		})
	}
	return places
}
