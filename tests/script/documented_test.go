package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// seenKey holds the documented fields that a script has seen, as
// "command: field".
type seenKey struct{}

// documented COMMAND compares the JSON in stdout with what docs/json.md says
// of a command. documented -all FIELD... expects that the script has seen all
// that the page documents, but for these.
func cmdDocumented(ts *testscript.TestScript, args []string) error {
	page, err := os.ReadFile(filepath.Join(ts.Getenv("SOURCE"), "docs/json.md"))
	if err != nil {
		return err
	}
	documented := documentedFields(string(page))
	seen := ts.Value(seenKey{}).(map[string]bool)
	if args[0] == "-all" {
		return unseen(documented, seen, args[1:])
	}
	fields := map[string]string{}
	for in := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))); ; {
		var v any
		if err := in.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("stdout is no JSON: %w", err)
		}
		collectFields("", v, fields)
	}
	if len(fields) == 0 {
		return errors.New("stdout has no JSON with fields")
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		command := args[0]
		if _, own := documented[command+": "+field]; !own && command == "reconcile" {
			command = "plan" // the page says that it has plan's
		}
		key := command + ": " + field
		if step := stepField.FindStringSubmatch(field); step != nil && command != "history" {
			key = "plan: actions[]." + step[1] // the page says that it has plan's
		}
		if documented[key] != fields[field] {
			return fmt.Errorf("%s is a %s; docs/json.md says %q", key, fields[field], documented[key])
		}
		seen[key] = true
	}
	return nil
}

// stepField is a field of an action that runs.
var stepField = regexp.MustCompile(`^(?:agent\.runs\[\]\.)?steps?(?:\[\])?\.(\w+(?:\[\])?)$`)

func unseen(documented map[string]string, seen map[string]bool, except []string) error {
	var missing []string
	for key := range documented {
		expected := func(e string) bool {
			prefix, all := strings.CutSuffix(e, "*")
			return e == key || all && strings.HasPrefix(key, prefix)
		}
		if !seen[key] && !slices.ContainsFunc(except, expected) {
			missing = append(missing, key)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		return fmt.Errorf("documented, but never printed:\n%s", strings.Join(missing, "\n"))
	}
	return nil
}

var documentedRow = regexp.MustCompile("^\\| `([^`]+)` \\| (\\w+) \\|")

// documentedFields returns the types by "command: field".
func documentedFields(page string) map[string]string {
	out := map[string]string{}
	command := ""
	for line := range strings.Lines(page) {
		if title, ok := strings.CutPrefix(line, "## `gitboot "); ok {
			command = strings.Trim(title, "`\n")
		}
		if row := documentedRow.FindStringSubmatch(line); row != nil {
			out[command+": "+row[1]] = row[2]
		}
	}
	return out
}

// collectFields notes the type of every value that is no list. Tables whose
// keys are not gitboot's are not looked into.
func collectFields(path string, v any, fields map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		if slices.Contains([]string{"labels", "failed", "unpublished", "[].failed"}, path) {
			fields[path] = "object"
			return
		}
		for key, child := range v {
			collectFields(strings.TrimPrefix(path+"."+key, "."), child, fields)
		}
	case []any:
		for _, child := range v {
			collectFields(path+"[]", child, fields)
		}
	case string:
		fields[path] = "string"
	case float64:
		fields[path] = "number"
	case bool:
		fields[path] = "boolean"
	default:
		fields[path] = fmt.Sprintf("%T", v)
	}
}
