package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/gitboot/gitboot/build/recipe"
)

// writeContext fills an empty folder with the context.
func writeContext(p *recipe.Prepared, dir string) error {
	if err := writeFiles(p, dir, p.Files); err != nil {
		return fmt.Errorf("write context: %w", err)
	}
	return nil
}

func writeFiles(p *recipe.Prepared, dir string, files []recipe.File) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range files {
		if err := writeFile(p, root, f); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(p *recipe.Prepared, root *os.Root, f recipe.File) error {
	if f.Mode.IsDir() {
		return root.MkdirAll(f.Name, 0o755)
	}
	if err := root.MkdirAll(path.Dir(f.Name), 0o755); err != nil {
		return err
	}
	if f.Link != "" {
		return root.Symlink(f.Link, filepath.FromSlash(f.Name))
	}
	in, err := p.FS.Open(f.Repo)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := root.OpenFile(f.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode.Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if f.Name == ".containerignore" || f.Name == ".dockerignore" {
		_, more := out.WriteString("\n!" + recipe.OwnFolder + "\n!" + recipe.OwnFolder + "/**\n")
		err = errors.Join(err, more)
	}
	return errors.Join(err, out.Chmod(f.Mode.Perm()), out.Close())
}
