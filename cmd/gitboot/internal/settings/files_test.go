package settings

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Of each key that names a path it is known whether a file lies there, and
// whether others may read it.
func TestEveryNamedFileIsKnown(t *testing.T) {
	programs := []string{"init", "rescue", "buildkit.program"}
	folders := []string{"stage", "boot", "build_dir", "signing_keys"}
	made := []string{"socket"} // by the agent itself
	eachSetting("", reflect.ValueOf(Config{}), func(key string, tag reflect.StructTag, _ reflect.Value) {
		if tag.Get("is") != "path" || slices.Contains(slices.Concat(programs, folders, made), key) {
			return
		}
		if holds := tag.Get("holds"); holds != "secret" && holds != "public" {
			t.Errorf("%s names a file, and its tag holds does not say whether that is secret or public", key)
		}
	})
}

func TestNamedFiles(t *testing.T) {
	named := Settings{Config: Config{TokenFile: "/t", CAFile: "/c", Buildkit: buildkitConfig{Key: "/k"}}}.Named()
	if want := []NamedFile{{"token_file", "/t", true}, {"ca_file", "/c", false}, {"buildkit.key", "/k", true}}; !sameFiles(named, want) {
		t.Errorf("named are %v, not %v", named, want)
	}
}

func sameFiles(a, b []NamedFile) bool {
	byKey := func(x, y NamedFile) int { return strings.Compare(x.Key, y.Key) }
	a, b = slices.SortedFunc(slices.Values(a), byKey), slices.SortedFunc(slices.Values(b), byKey)
	return slices.Equal(a, b)
}
