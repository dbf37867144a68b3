package spec

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func loadAll(t *testing.T, fsys fs.FS) *Fleet {
	t.Helper()
	f, err := Load(t.Context(), fsys)
	if err != nil {
		t.Fatalf("load:\n%v", err)
	}
	for _, name := range f.Machines() {
		if _, err := f.Resolve(t.Context(), name); err != nil {
			t.Errorf("resolve %s:\n%v", name, err)
		}
	}
	return f
}

func TestExamples(t *testing.T) {
	roots, err := filepath.Glob("../examples/*/gitboot.toml")
	if err != nil || len(roots) == 0 {
		t.Fatal(roots, err)
	}
	compiled := compileSchema(t)
	for _, root := range roots {
		dir := filepath.Dir(root)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			fsys := os.DirFS(dir)
			f := loadAll(t, fsys)
			if len(f.Machines()) == 0 {
				t.Error("has no machines")
			}
			validateAll(t, compiled, fsys)
		})
	}
}

func TestStarter(t *testing.T) {
	f := loadAll(t, Starter())
	if len(f.Machines()) != 1 {
		t.Errorf("machines are %q", f.Machines())
	}
	validateAll(t, compileSchema(t), Starter())
}

func TestSchemaRefuses(t *testing.T) {
	compiled := compileSchema(t)
	for name, text := range map[string]string{
		"unknown key":       "[machine.a]\nimags = [\"x\"]",
		"unknown table":     "[machines.a]\nimages = [\"x\"]",
		"wrong type":        "[machine.a]\nimages = \"x\"",
		"bad mode":          "[[hook.a.file]]\npath = \"/x\"\ncontent = \"\"\nmode = \"rw\"",
		"two bodies":        "[[hook.a.file]]\npath = \"/x\"\ncontent = \"\"\nlink = \"y\"",
		"no source":         "[image.a]\nkeep = 3",
		"two sources":       "[image.a]\npull = \"x\"\narchive = \"y\"",
		"nothing kept":      "[image.a]\npull = \"x\"\nkeep = 0",
		"hostile name":      "[machine.\"../x\"]\nimages = [\"x\"]",
		"unknown engine":    "[image.a.build]\nfrom = \"scratch\"\nengine = \"make\"",
		"long name":         "[machine." + strings.Repeat("a", 65) + "]\nimages = [\"x\"]",
		"long reference":    "[image.a]\npull = \"x/" + strings.Repeat("a", 512) + "\"",
		"long glob":         "[hook.a]\nimages = [\"" + strings.Repeat("a", 257) + "\"]",
		"newline in kernel": "[image.a]\npull = \"x\"\nkernel_args = [\"a\\nb\"]",
	} {
		if err := compiled.Validate(asJSON(t, []byte(text))); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := Load(t.Context(), repo(text)); err == nil {
			t.Errorf("%s: accepted by Load", name)
		}
	}
}

func TestSchemaIsStable(t *testing.T) {
	if !bytes.Equal(Schema(), Schema()) {
		t.Error("two calls differ")
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("gitboot.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("gitboot.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// validateAll checks every TOML file against the schema.
func validateAll(t *testing.T, compiled *jsonschema.Schema, fsys fs.FS) {
	t.Helper()
	err := fs.WalkDir(fsys, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".toml" {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if err := compiled.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	var table map[string]any
	if _, err := toml.Decode(string(text), &table); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
