package render

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"
)

var errSpent = errors.New("spent")

// budget allows as many units.
func budget(units int) func(int) error {
	return func(n int) error {
		if units -= n; units < 0 {
			return errSpent
		}
		return nil
	}
}

var data = map[string]any{
	"Machine": map[string]any{"Name": "laptop", "ID": ""},
	"Image":   map[string]any{"Name": "desktop", "Tag": "latest"},
	"Vars": map[string]any{
		"name": "x", "list": []any{"a", int64(2), 1.5, true, []any{}}, "table": map[string]any{"b": "2", "a": "1"},
		"no value": "<no value>", "zero": int64(0), "big": strings.Repeat("x", 1<<20),
	},
}

// TestSameAsTextTemplate holds that what is inserted is not seen.
func TestSameAsTextTemplate(t *testing.T) {
	for _, text := range []string{
		"plain", "{{ .Machine.Name }} {{ .Image.Name }}:{{ .Image.Tag }}\n", "{{- .Vars.name -}}  ", "{{ . }}", "{{ .Vars.table }} {{ .Vars.list }}",
		"{{ range .Vars.list }}<{{ . }}>{{ end }}", "{{ range $i, $v := .Vars.list }}{{ $i }}={{ $v }},{{ else }}none{{ end }}",
		"{{ range $k, $v := .Vars.table }}{{ $k }}{{ $v }}{{ end }}", "{{ range 3 }}{{ . }}{{ end }}", "{{ range $i := 3 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}",
		"{{ range .Vars.list }}{{ break }}{{ end }}.", `{{ range index .Vars "gone" }}x{{ else }}empty{{ end }}`,
		`{{ with index .Vars "gone" }}{{ . }}{{ else }}none{{ end }}`, `{{ if index .Vars "gone" }}x{{ end }}`, `{{ or (index .Vars "gone") "default" }}`, `{{ and 1 "b" }}`,
		`{{ if eq .Vars.name "y" "x" }}same{{ end }}{{ if ne .Vars.name "x" }}x{{ end }}`, `{{ lt 1 2 }} {{ ge .Vars.zero 0 }} {{ .Vars.name | eq "x" }} {{ eq (index .Vars.list 1) 2 }}`,
		`{{ index .Vars "no value" }}`, `{{ index .Vars.list 0 }} {{ index .Vars "table" "a" }} {{ "table" | index .Vars }}`, `{{ slice .Vars.name 0 1 }}{{ len .Vars.list }}{{ not true }}`,
		`{{ print .Vars.name 1 2 "a" true }}|{{ println .Vars.name 1 }}|{{ print }}`, `{{ html "<a>" 1 }}{{ js "'" }}{{ urlquery "a b" }}{{ "<" | html }}`,
		`{{ printf "%s %q %-10s|%05d %x %v %T %+v %#v %% %[1]s" .Vars.name "q" "l" 42 "hex" .Vars.list .Image .Vars.table .Vars.table }}`, `{{ printf "%*d|%-*s|%.2f|%6.3f" 5 42 4 "a" 1.5 2.5 }}`,
		`{{ printf "%d" }}{{ printf "%d" 1 2 }}{{ printf "%z" 1 }}{{ printf "%" }}`,
		`{{ define "t" }}[{{ . }}]{{ end }}{{ template "t" 1 }}{{ template "t" .Vars.name }}{{ block "b" .Image }}{{ .Name }}{{ end }}`,
		`{{ $x := 1 }}{{ range 3 }}{{ $x = . }}{{ end }}{{ $x }}`, `{{ (index .Vars "table").a }}`, `{{ with $x := .Vars.table }}{{ $x.a }}{{ end }}`, `{{ "quoted" }}{{ 'c' }}{{ 1e3 }}{{ true }}`,
		`{{/* comment */}}{{ "}}" }}`, "{{ .Vars.table.a | printf \"%s-%s\" \"x\" }}",
	} {
		got, err := new(Templates).Text(text, data, budget(1e6))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var want strings.Builder
		if err := template.Must(template.New("other").Option("missingkey=error").Parse(text)).Execute(&want, data); err != nil {
			t.Fatal(err)
		}
		if got != want.String() {
			t.Errorf("%s: got %q, not %q", text, got, want.String())
		}
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{{ .Vars.gone }}":                          `line 1: <.Vars.gone>: map has no entry for key "gone" missing gone`,
		"\n\n{{ index .Vars \"gone\" }}":            `line 3: it prints a variable that is not set missing ?`,
		"\n{{ print (index .Vars \"gone\") }}":      `line 2: it prints a variable that is not set missing ?`,
		"{{ printf \"%s\" (index .Vars \"gone\")}}": `line 1: it prints a variable that is not set missing ?`,
		"{{ html (index .Vars \"gone\")}}":          `line 1: it prints a variable that is not set missing ?`,
		"\n{{ index .Vars.list 9 }}":                `line 2: <index (.Vars.list) 9>: error calling index: index out of range: 9 missing `,
		"{{ .Vars.name.x }}":                        `line 1: <.Vars.name.x>: can't evaluate field x in type interface {} missing `,
		"\n{{ .Vars":                                `line 2: unclosed action missing `,
		"{{ gitboot_left }}":                        `line 1: function "gitboot_left" not defined missing `,
		"{{ printf \"%p\" .Vars }}":                 `line 1: %p would print an address, which is another one each time missing `,
		"{{ call .Vars.name }}":                     `line 1: <call .Vars.name>: error calling call: non-function .Vars.name of type string missing `,
		"{{ define \"\\\"x\" }}\n{{ .a }}{{ end }}{{ template \"\\\"x\" .Vars }}": `line 2: <.a>: map has no entry for key "a" missing a`,
	} {
		_, err := new(Templates).Text(text, data, budget(1e6))
		e := (*Error)(nil)
		if !errors.As(err, &e) || e.Error()+" missing "+e.Missing != want {
			t.Errorf("%q: got %v, not %s", text, err, want)
		}
	}
}

// hostile are templates that would take all time or memory there is.
var hostile = map[string]string{
	"loop":                  "{{ range 9000000000000 }}{{ end }}",
	"loop that continues":   "{{ range 9000000000000 }}{{ continue }}x{{ end }}",
	"loop in loops":         "{{ range 999 }}{{ range 999 }}{{ range 999 }}{{ range 999 }}{{ end }}{{ end }}{{ end }}{{ end }}",
	"loop with an else":     "{{ range 9000000000000 }}{{ else }}{{ end }}",
	"loop over a variable":  "{{ $n := 9000000000000 }}{{ range $i := $n }}{{ if $i }}{{ end }}{{ end }}",
	"loop in with":          "{{ with 9000000000000 }}{{ range . }}{{ end }}{{ end }}",
	"recursion":             `{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`,
	"itself":                `{{ template "` + root + `" . }}`,
	"tree of calls":         `{{ define "a0" }}{{ end }}` + tower("a", 45) + `{{ template "a45" }}`,
	"doubled":               `{{ $x := "ab" }}` + strings.Repeat("{{ $x = print $x $x }}", 60),
	"doubled in a loop":     `{{ $x := "ab" }}{{ range 60 }}{{ $x = printf "%s%s" $x $x }}{{ end }}`,
	"doubled by index":      `{{ $x := "ab" }}{{ range 60 }}{{ $x = printf "%[1]s%[1]s" $x }}{{ end }}`,
	"escaped":               `{{ $x := "<" }}{{ range 60 }}{{ $x = html $x }}{{ $x = js $x }}{{ $x = urlquery $x }}{{ end }}{{ range 1000000 }}{{ $x = urlquery $x "%" }}{{ end }}`,
	"wide":                  `{{ printf "%999999999d" 1 }}`,
	"many wide":             `{{ printf "` + strings.Repeat("%900000d", 5000) + `" 1 }}`,
	"wide by argument":      `{{ printf "%*d" 999999999 1 }}`,
	"many by argument":      `{{ printf "` + strings.Repeat("%[1]*[2]d", 5000) + `" 900000 1 }}`,
	"precise":               `{{ printf "%.999999f" 1.5 }}` + strings.Repeat(`{{ printf "%.900000f" 1.5 }}`, 500),
	"wide list":             `{{ printf "%900000v" .Vars.list }}{{ range 1000 }}{{ printf "%900000v" $.Vars.list }}{{ end }}`,
	"printed often":         "{{ range 1000000 }}{{ .Vars }}{{ end }}{{ range 1000000 }}{{ $ }}{{ end }}",
	"many arguments":        "{{ range 1000 }}{{ $x := print" + strings.Repeat(" $.Vars.big", 100) + "}}{{ end }}",
	"compared often":        "{{ $a := print .Vars.big `a` }}{{ $b := print .Vars.big `b` }}{{ range 1000000 }}{{ if eq $a $b }}{{ end }}{{ if $a | lt $b }}{{ end }}{{ end }}",
	"looked up often":       "{{ range 1000000 }}{{ if index $.Vars $.Vars.big }}{{ end }}{{ end }}",
	"text in a loop":        "{{ range 1000000 }}" + strings.Repeat("x", 1000) + "{{ end }}",
	"nested":                strings.Repeat("{{ if 1 }}", 10000) + strings.Repeat("{{ end }}", 10000),
	"nested, not ended":     strings.Repeat("{{if 1}}", 1<<17),
	"else if":               "{{ if 0 }}" + strings.Repeat("{{ else if 0 }}", 10000) + "{{ end }}",
	"parentheses":           "{{" + strings.Repeat("(", 1<<19),
	"closed parentheses":    "{{" + strings.Repeat("(", 9000) + "1" + strings.Repeat(")", 9000) + "}}{{ range 9000000000 }}{{ end }}",
	"large":                 strings.Repeat("x", 2<<20) + "{{ 1 }}",
	"long action":           "{{ print" + strings.Repeat(" 1", 1<<18) + "}}{{ range 9000000000 }}{{ end }}",
	"many actions":          strings.Repeat("{{1}}", 30000),
	"nested and recursive":  `{{ define "a" }}` + strings.Repeat("{{ if 1 }}", 190) + `{{ template "a" }}` + strings.Repeat("{{ end }}", 190) + `{{ end }}{{ template "a" }}`,
	"huge index":            "{{ index .Vars.list 99999999999999 }}",
	"huge slice":            "{{ slice .Vars.name 0 99999999999999 }}",
	"loop that never ended": "{{ range .Vars.list }}{{ range 999999999 }}{{ end }}{{ end }}",
}

func tower(name string, high int) string {
	var b strings.Builder
	for i := 1; i <= high; i++ {
		fmt.Fprintf(&b, `{{ define "%[1]s%[2]d" }}{{ template "%[1]s%[3]d" }}{{ template "%[1]s%[3]d" }}{{ end }}`, name, i, i-1)
	}
	return b.String()
}

// TestBounded holds that each hostile template fails, within its budget.
// Counting allocations says that memory is bounded, and how much was done.
func TestBounded(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := new(Templates).Text(text, data, budget(1e5))
			if err == nil {
				t.Fatal("it was executed")
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("its error has %d bytes", len(err.Error()))
			}
		})
	}
}

// TestStops holds that whatever a template does, it ends soon after spend says
// so.
func TestStops(t *testing.T) {
	for name, text := range hostile {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := new(Templates).Text(text, data, func(int) error { return ctx.Err() })
		late := time.Now()
		if deadline, _ := ctx.Deadline(); late.Sub(deadline) > 10*time.Second {
			t.Errorf("%s: ended %s late", name, late.Sub(deadline))
		}
		if err == nil {
			t.Errorf("%s: it was executed", name)
		}
		cancel()
	}
}

// FuzzText holds that what can be executed is executed as text/template does,
// and twice the same.
func FuzzText(f *testing.F) {
	for _, text := range hostile {
		if len(text) < 500 {
			f.Add(text)
		}
	}
	f.Add(`{{ printf "%v %[2]*[1]d %6.2f" . 3 1.5 }}`)
	f.Fuzz(func(t *testing.T, text string) {
		var templates Templates
		got, err := templates.Text(text, data, budget(1e4))
		if err != nil {
			return
		}
		if again, err := templates.Text(text, data, budget(1e4)); err != nil || again != got {
			t.Errorf("%q then %q, %v", got, again, err)
		}
		if size := len(got); size > maxText {
			t.Errorf("%d bytes", size)
		}
	})
}

// A secret is printed where it stands, and nothing else can be done with it.
func TestSecrets(t *testing.T) {
	for text, want := range map[string][]Secret{
		`a={{ secret "x" }};`:                                             {{"x", 2}},
		`{{ secret "x" }}{{ secret "y" }}`:                                {{"x", 0}, {"y", 0}},
		`{{ $s := secret "x" }}a{{ $s }}`:                                 {{"x", 1}},
		`{{ range .Vars.list }}{{ secret "x" }}-{{ end }}`:                {{"x", 0}, {"x", 1}, {"x", 2}},
		`{{ define "t" }}[{{ secret . }}]{{ end }}{{ template "t" "z" }}`: {{"z", 1}},
		`{{ with secret "x" }}{{ . }}{{ end }}`:                           {{"x", 0}},
		`{{ "x" | secret }}`:                                              {{"x", 0}},
		`{{ if false }}{{ secret "x" }}{{ end }}`:                         nil,
	} {
		out, got, err := new(Templates).File(text, map[string]any{"Vars": map[string]any{"list": []any{"1", "2", "3"}}}, budget(1e5))
		if err != nil || !slices.Equal(got, want) || strings.Contains(out, "x") {
			t.Errorf("%s: %q, %v, %v", text, out, got, err)
		}
	}
	for _, text := range []string{
		`{{ print (secret "x") }}`, `{{ secret "x" | printf "%q" }}`, `{{ html (secret "x") }}`, `{{ len (secret "x") }}`,
		`{{ slice (secret "x") 0 1 }}`, `{{ (secret "x").Name }}`, `{{ (secret "x").secret }}`, `{{ if eq (secret "x") "x" }}{{ end }}`,
		`{{ range secret "x" }}{{ end }}`, `{{ secret }}`, `{{ secret 1 }}`, `{{ println 1 (secret "x") }}`, `{{ index (secret "x") 0 }}`,
	} {
		if out, _, err := new(Templates).File(text, nil, budget(1e5)); err == nil {
			t.Errorf("%s: %q", text, out)
		}
	}
	if out, err := new(Templates).Text(`{{ secret "x" }}`, nil, budget(1e5)); err == nil || !strings.Contains(err.Error(), "only be put into a file") {
		t.Errorf("in a text: %q, %v", out, err)
	}
	if err := Check(`{{ secret "x" }}`); err != nil {
		t.Error(err)
	}
}
