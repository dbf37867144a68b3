package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNoskip runs a module's tests as they are run by make test.
func TestNoskip(t *testing.T) {
	const (
		passes = "func TestPasses(t *testing.T) { t.Log(`not told`) }\n"
		skips  = "func TestSkips(t *testing.T) { t.Run(`part`, func(t *testing.T) { t.Skip(`has no moon`) }) }\n"
		fails  = "func TestFails(t *testing.T) { t.Error(`is broken`) }\n"
		panics = "func TestPanics(t *testing.T) { println(`so far`); panic(`at once`) }\n"
	)
	for name, c := range map[string]struct {
		tests string
		root  bool
		code  int
		said  []string
	}{
		"pass":     {passes, true, 0, []string{"ok  \tx"}},
		"skip":     {passes + skips, true, 1, []string{"ok  \tx", "skipped: x TestSkips/part: x_test.go:4: has no moon", "FAIL"}},
		"not root": {passes + skips, false, 0, []string{"skipped: x TestSkips/part"}},
		"fail":     {passes + fails, true, 1, []string{"--- FAIL: TestFails", "is broken", "FAIL\tx", "failed: x TestFails\n\tx_test.go:4: is broken\n\t--- FAIL"}},
		"panic":    {panics, true, 1, []string{"so far", "panic: at once", "FAIL\tx", "failed: x TestPanics\n"}},
		"no go":    {"nonsense", true, 1, []string{"expected declaration", "FAIL\tx"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"go.mod": "module x\ngo 1.24\n", "x_test.go": "package x\nimport \"testing\"\n" + c.tests} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(dir)
			var out bytes.Buffer
			if code := run([]string{"-count=1", "./..."}, &out, c.root); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, text := range c.said {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%q is not told", text)
				}
			}
			if strings.Contains(out.String(), "not told") || t.Failed() {
				t.Errorf("told:\n%s", out.String())
			}
		})
	}
}

func TestLongest(t *testing.T) {
	events := `{"Action":"pass","Package":"x","Test":"TestShort","Elapsed":0.1}
{"Action":"pass","Package":"x","Test":"TestLong/part","Elapsed":19}
{"Action":"fail","Package":"x","Test":"TestLong","Elapsed":20}
{"Action":"pass","Package":"y","Test":"TestLonger","Elapsed":31.5}
{"Action":"pass","Package":"y","Elapsed":60}
`
	r := show(strings.NewReader(events), io.Discard)
	if got, want := longest(r.took), []string{"y TestLonger", "x TestLong"}; !slices.Equal(got, want) {
		t.Errorf("longest are %v, want %v", got, want)
	}
}
