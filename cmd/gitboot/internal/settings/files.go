package settings

import "reflect"

// A NamedFile is what a key of agent.toml names; Secret ones are nobody's but root's.
type NamedFile struct {
	Key, Path string
	Secret    bool
}

// Named are the files that the settings name, as they stand in Config.
func (s Settings) Named() (files []NamedFile) {
	eachSetting("", reflect.ValueOf(s.Config), func(key string, tag reflect.StructTag, value reflect.Value) {
		if holds := tag.Get("holds"); holds != "" && !value.IsZero() {
			files = append(files, NamedFile{Key: key, Path: value.String(), Secret: holds == "secret"})
		}
	})
	return files
}
