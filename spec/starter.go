package spec

import (
	"embed"
	"io/fs"
)

//go:embed starter
var starter embed.FS

// Starter returns a small commented config repo that is valid as it is.
func Starter() fs.FS {
	fsys, err := fs.Sub(starter, "starter")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return fsys
}
