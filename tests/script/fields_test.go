package script

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdFields pins the form of JSON without its values: fields FILE lists every
// field of the JSON in stdout with its type, an element of a list as [].
func cmdFields(ts *testscript.TestScript, args []string) error {
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		return fmt.Errorf("stdout is not one JSON value: %w", err)
	}
	var lines []string
	collectFields("", v, &lines)
	slices.Sort(lines)
	return os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(slices.Compact(lines), "\n")+"\n"), 0o644)
}

func collectFields(path string, v any, lines *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			collectFields(path+"."+key, child, lines)
		}
	case []any:
		*lines = append(*lines, path+" list")
		for _, child := range v {
			collectFields(path+"[]", child, lines)
		}
	case string:
		*lines = append(*lines, path+" string")
	case float64:
		*lines = append(*lines, path+" number")
	case bool:
		*lines = append(*lines, path+" boolean")
	default:
		*lines = append(*lines, fmt.Sprintf("%s %T", path, v))
	}
}
