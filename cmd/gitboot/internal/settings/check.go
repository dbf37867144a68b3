package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/spec"
)

// check names whatever is wrong with agent.toml, where it is, and what to do. Whether
// a path is safe from others is only known on the machine that it is of.
func check(c Config, unknown []toml.Key, file, text string, safe func(path string) error) (problems spec.Problems) {
	lines := spec.Lines(text)
	for _, key := range unknown {
		name := key.String()
		known := slices.DeleteFunc(keys(), func(k string) bool { return strings.Contains(k, ".") != strings.Contains(name, ".") })
		problems = append(problems, spec.Problem{
			File: file, Line: lines[name], Key: name, Message: "is not a known key" + nearest.Hint(name, known),
			Hint: "known are " + strings.Join(known, ", "),
		})
	}
	set := map[string]bool{}
	eachSetting("", reflect.ValueOf(c), func(key string, _ reflect.StructTag, value reflect.Value) { set[key] = !value.IsZero() })
	kinds := kinds()
	eachSetting("", reflect.ValueOf(c), func(key string, tag reflect.StructTag, value reflect.Value) {
		if !set[key] {
			return
		}
		is := tag.Get("is")
		wrong := kinds[is]
		if other := tag.Get("or"); set[other] {
			wrong = func(setting) string { return "says what " + other + " says, too; set one of them" }
		}
		if wrong == nil {
			return
		}
		if message := wrong(setting{key, is, value, c, safe}); message != "" {
			problems = append(problems, spec.Problem{File: file, Line: lines[key], Key: key, Value: shown(is, value), Message: message})
		}
	})
	slices.SortStableFunc(problems, func(a, b spec.Problem) int { return a.Line - b.Line })
	return problems
}

// eachSetting visits the keys of agent.toml, with their tags: is says what a key
// is, or which other key it is another word for. Of a table whose keys its owner
// chooses, the tags are those of each.
func eachSetting(section string, v reflect.Value, visit func(key string, tag reflect.StructTag, value reflect.Value)) {
	for f, value := range v.Fields() {
		key := section + f.Tag.Get("toml")
		switch f.Type.Kind() {
		case reflect.Struct:
			eachSetting(key+".", value, visit)
		case reflect.Map:
			for _, name := range value.MapKeys() {
				if entry := key + "." + name.String(); f.Type.Elem().Kind() == reflect.Struct {
					eachSetting(entry+".", value.MapIndex(name), visit)
				} else {
					visit(entry, f.Tag, value.MapIndex(name))
				}
			}
		default:
			visit(key, f.Tag, value)
		}
	}
}

// shown is a value as an error may repeat it: a proxy's may hold a password, and
// who knows the address of a topic or a chat may write there.
func shown(is string, v reflect.Value) string {
	if is == "proxy" || is == "notify-url" {
		return ""
	}
	return fmt.Sprint(v)
}
