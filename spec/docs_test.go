package spec

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/spec/health"
	"github.com/gitboot/gitboot/spec/partition"
	"github.com/gitboot/gitboot/spec/table"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/config.md")

const reference = "../docs/config.md"

var (
	tableMark = regexp.MustCompile(`(?s)<!-- table ([\w.-]+) -->\n.*?<!-- end -->`)
	docBlock  = regexp.MustCompile("(?ms)^```(toml|text) file=(\\S+)\\n(.*?)^```$")
)

// documented are the structs that have a table in the reference.
func documented() map[string]reflect.Type {
	types := map[string]reflect.Type{
		"document":  reflect.TypeFor[document](),
		"defaults":  reflect.TypeFor[defaultsDecl](),
		"settings":  reflect.TypeFor[settings](),
		"root":      reflect.TypeFor[partition.RootDecl](),
		"machine":   reflect.TypeFor[machineDecl](),
		"boot":      reflect.TypeFor[bootDecl](),
		"recovery":  reflect.TypeFor[recoveryDecl](),
		"boottest":  reflect.TypeFor[bootTestDecl](),
		"unlock":    reflect.TypeFor[partition.UnlockDecl](),
		"disk":      reflect.TypeFor[partition.DiskDecl](),
		"partition": reflect.TypeFor[partition.PartitionDecl](),
		"health":    reflect.TypeFor[health.HealthDecl](),
		"checks":    reflect.TypeFor[health.ChecksDecl](),
		"approve":   reflect.TypeFor[approveDecl](),
		"window":    reflect.TypeFor[windowDecl](),
		"image":     reflect.TypeFor[imageDecl](),
		"build":     reflect.TypeFor[buildDecl](),
		"copy":      reflect.TypeFor[copyDecl](),
		"secret":    reflect.TypeFor[secretDecl](),
		"secrets":   reflect.TypeFor[secretDefaults](),
		"hook":      reflect.TypeFor[hookDecl](),
		"file":      reflect.TypeFor[fileDecl](),
		"link":      reflect.TypeFor[linkDecl](),
		"dir":       reflect.TypeFor[dirDecl](),
		"script":    reflect.TypeFor[scriptDecl](),
		"atBoot":    reflect.TypeFor[atBootDecl](),
	}
	for _, f := range table.FieldsOf(reflect.TypeFor[kind.Builtin]()) {
		addTables(types, f.Key, f.Type.Elem())
	}
	return types
}

// addTables adds a built-in's own keys, unless they are only tables, and those
// of its tables.
func addTables(types map[string]reflect.Type, name string, t reflect.Type) {
	tables := 0
	for _, f := range table.FieldsOf(t) {
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			tables++
			addTables(types, name+"."+f.Key, f.Type.Elem())
		}
	}
	if tables < len(table.FieldsOf(t)) {
		types[name] = t
	}
}

func TestReferenceTables(t *testing.T) {
	page, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	types := documented()
	seen := map[string]bool{}
	want := tableMark.ReplaceAllStringFunc(string(page), func(old string) string {
		name := tableMark.FindStringSubmatch(old)[1]
		seen[name] = true
		if types[name] == nil {
			t.Fatalf("no struct for table %s", name)
		}
		return fmt.Sprintf("<!-- table %s -->\n%s<!-- end -->", name, keyTable(name, types[name]))
	})
	for name := range types {
		if !seen[name] {
			t.Errorf("%s has no table in %s", name, reference)
		}
	}
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s is not what the structs say: go test ./spec -run ReferenceTables -update", reference)
	}
}

func keyTable(name string, t reflect.Type) string {
	var b strings.Builder
	b.WriteString("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, f := range table.FieldsOf(t) {
		if inherited(name, f) {
			continue
		}
		fallback := "—"
		switch {
		case f.Required:
			fallback = "required"
		case f.Fallback != "":
			fallback = "`" + f.Fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Key, typeName(f.Type, &f), fallback, strings.ReplaceAll(f.Doc, "|", `\|`))
	}
	return b.String()
}

// inherited says whether a key is one of the shared settings, which have a
// table of their own.
func inherited(name string, f table.Field) bool {
	if name == "settings" {
		return false
	}
	for _, s := range table.FieldsOf(reflect.TypeFor[settings]()) {
		if s.Key == f.Key {
			return true
		}
	}
	return false
}

func typeName(t reflect.Type, f *table.Field) string {
	what := "string"
	if c := table.Of(f.Is); c.Enum != nil {
		what = strings.Join(c.Enum, ", ")
	} else if c.Want != "" && c.Max == 0 {
		what = strings.TrimPrefix(strings.TrimPrefix(c.Want, "a "), "an ")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem(), f)
	case reflect.Struct:
		if t == reflect.TypeFor[kind.Owner]() {
			return what
		}
		if table.Of(f.Is).Enum != nil {
			return what + ", or a table"
		}
		return "table"
	case reflect.Map:
		if f.Names == "name" && t.Elem().Kind() == reflect.Pointer {
			return "tables by name"
		}
		return "table"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "array of tables"
		}
		return "array: " + what
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		if c := table.Of(f.Is); c.Max != 0 {
			return fmt.Sprintf("integer, %d to %d", c.Min, c.Max)
		}
		return "integer"
	}
	return what
}

// TestReferenceExamples loads the page's examples: a run of blocks is one
// repo, and gitboot.toml begins the next.
func TestReferenceExamples(t *testing.T) {
	page, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	var repos []fstest.MapFS
	for _, m := range docBlock.FindAllStringSubmatch(string(page), -1) {
		if m[2] == RootFile {
			repos = append(repos, fstest.MapFS{})
		}
		repos[len(repos)-1][m[2]] = &fstest.MapFile{Data: []byte(m[3]), Mode: modeOf(m[3])}
	}
	if len(repos) < 8 {
		t.Fatalf("found %d examples", len(repos))
	}
	compiled := compileSchema(t)
	used := map[string]bool{}
	for _, fsys := range repos {
		loadAll(t, fsys)
		validateAll(t, compiled, fsys)
		for _, file := range fsys {
			for _, key := range regexp.MustCompile(`[A-Za-z0-9_-]+`).FindAllString(string(file.Data), -1) {
				used[key] = true
			}
		}
	}
	for name, typ := range documented() {
		for _, f := range table.FieldsOf(typ) {
			if !used[f.Key] {
				t.Errorf("no example uses %s of %s", f.Key, name)
			}
		}
	}
}

// modeOf is that of a file of an example: scripts are executable.
func modeOf(content string) fs.FileMode {
	if strings.HasPrefix(content, "#!") {
		return 0o755
	}
	return 0o644
}
