package main

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

func newHook(a *app) *cobra.Command {
	return usage.Group("hook", "Look at the hooks of this machine and try them", newHookList(a), newHookRun(a), newHookShow())
}

type hookJSON struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`
	Builtin bool     `json:"builtin"`
	Files   []string `json:"files"`
	Dirs    []string `json:"dirs"`
	Removes []string `json:"removes"`
	Run     []string `json:"run"`
	AtBoot  []string `json:"atBoot"`
	Secrets []string `json:"secrets"`
}

func newHookList(a *app) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the hooks that apply to each image, in their order", Args: usage.NoArgs,
		Example: "  gitboot hook list\n  gitboot hook list --repo . --worktree"}
	a.worktreeFlag(c)
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.looking(c, nil, func(r *reconciler.Reconciler) error {
			w, err := r.Wanted(c.Context())
			if err != nil {
				return err
			}
			return printHooks(c.OutOrStdout(), w.Wants, *asJSON)
		})
	}
	return c
}

func printHooks(w io.Writer, wants *spec.Wants, asJSON bool) error {
	list, rows := []hookJSON{}, [][]any{}
	for _, img := range wants.Images {
		for _, h := range img.Hooks {
			j := describeHook(img.Name, h)
			list = append(list, j)
			rows = append(rows, []any{j.Image, j.Name, len(j.Files), len(j.Run), len(j.AtBoot), screen.Mark(j.Builtin)})
		}
	}
	if asJSON {
		return screen.JSON(w, list)
	}
	return screen.Table(w, "IMAGE\tHOOK\tFILES\tRUN\tAT BOOT\tBUILT IN", rows)
}

func describeHook(image string, h kind.Hook) hookJSON {
	j := hookJSON{Name: h.Name, Image: image, Builtin: h.Builtin != nil, Files: []string{}, Dirs: []string{}, Removes: []string{}, Run: []string{}, AtBoot: []string{}, Secrets: append([]string{}, h.Secrets()...)}
	j.Files = append(j.Files, h.Paths()...)
	j.Removes = append(j.Removes, h.Removes...)
	for _, d := range h.Dirs {
		j.Dirs = append(j.Dirs, d.Path)
	}
	for _, s := range h.Run {
		j.Run = append(j.Run, s.Name)
	}
	for _, s := range h.AtBoot {
		j.AtBoot = append(j.AtBoot, s.Name)
	}
	return j
}

func newHookRun(a *app) *cobra.Command {
	var out string
	var secrets bool
	c := &cobra.Command{Use: "run IMAGE", Short: "Render an image's hooks and list what they make", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeImages(false),
		Long: "run renders the hooks as reconcile would, and lists the files or writes them as a\ntar archive. Nothing is staged; secrets that are generated once are made and kept.\nAn archive with secrets of the config repo, in the clear, is written with\n--with-secrets only.",
		Example: `  gitboot hook run desktop
  gitboot hook run desktop -o hooks.tar`}
	a.worktreeFlag(c)
	c.Flags().StringVarP(&out, "output", "o", "", "write the tar archive to this file, - for standard output")
	secretsFlag(c, &secrets)
	c.Flags().BoolVar(&a.wait, "wait", false, "wait for another run to finish instead of failing")
	c.RunE = func(c *cobra.Command, names []string) error {
		if out == "-" {
			if err := binaryTo(c.OutOrStdout()); err != nil {
				return err
			}
		}
		return a.looking(c, nil, func(r *reconciler.Reconciler) error {
			if out != "" && !secrets {
				w, err := r.Wanted(c.Context())
				if err = cmp.Or(err, inTheClear(names[0], secretsOf(w, names[0]))); err != nil {
					return err
				}
			}
			return writeHooks(c, out, func(w io.Writer) error {
				_, _, err := r.Hooks(c.Context(), names[0], a.wait, w)
				return err
			})
		})
	}
	return c
}

// secretsFlag is for commands that write what hooks have made.
func secretsFlag(c *cobra.Command, secrets *bool) {
	c.Flags().BoolVar(secrets, "with-secrets", false, "write it though it holds secrets of the config repo in the clear")
}

// inTheClear refuses to write secrets, if there are any.
func inTheClear(name string, secrets []string) error {
	if len(secrets) == 0 {
		return nil
	}
	return usage.Errorf("%s holds the secrets %s in the clear; give --with-secrets to write them, and keep the file as you would keep them", name, strings.Join(secrets, ", "))
}

// secretsOf returns the names of the secrets that an image's hooks need.
func secretsOf(w *wanted.Wanted, image string) (names []string) {
	if w.Wants == nil {
		return nil
	}
	for _, img := range w.Wants.Images {
		for _, h := range img.Hooks {
			if img.Name == image {
				names = append(names, h.Secrets()...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func writeHooks(c *cobra.Command, out string, render func(io.Writer) error) error {
	switch out {
	case "":
		return listTar(c.OutOrStdout(), render)
	case "-":
		return render(screen.Document(c.OutOrStdout()))
	}
	return toFile(out, render)
}

// listTar prints the entries of the archive that write produces.
func listTar(w io.Writer, write func(io.Writer) error) error {
	r, pw := io.Pipe()
	go func() { pw.CloseWithError(write(pw)) }()
	defer r.Close()
	archive := tar.NewReader(r)
	var rows [][]any
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) && len(rows) == 0 {
			_, err := fmt.Fprintln(w, "the hooks make nothing")
			return err
		}
		if errors.Is(err, io.EOF) {
			return screen.Table(w, "MODE\tOWNER\tSIZE\tPATH", rows)
		}
		if err != nil {
			return err
		}
		rows = append(rows, entryRow(h))
	}
}

// entryRow describes an entry of a layer, in which a name with a certain
// beginning takes away what is below.
func entryRow(h *tar.Header) []any {
	dir, name := path.Split(h.Name)
	switch target, removed := strings.CutPrefix(name, ".wh."); {
	case name == ".wh..wh..opq":
		return []any{"removed", "", "", dir + "*, of the image"}
	case removed:
		return []any{"removed", "", "", dir + target}
	}
	name = h.Name
	if h.Linkname != "" {
		name += " -> " + h.Linkname
	}
	return []any{os.FileMode(h.FileInfo().Mode()), fmt.Sprintf("%d:%d", h.Uid, h.Gid), h.Size, name}
}

func noBuiltin(name string, all []builtinJSON) error {
	var known []string
	for _, h := range all {
		known = append(known, h.Name)
	}
	return usage.Errorf("there is no built-in hook %q%s; `gitboot hook show` lists them", name, nearest.Hint(name, known))
}

type builtinJSON struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	Text    string `json:"text"`
}

func newHookShow() *cobra.Command {
	c := &cobra.Command{Use: "show [BUILTIN]", Short: "Explain the built-in hooks", Args: usage.Args(cobra.MaximumNArgs(1)), ValidArgsFunction: completeBuiltins,
		Example: "  gitboot hook show\n  gitboot hook show fstab"}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		var all []builtinJSON
		for _, h := range kind.Helps() {
			all = append(all, builtinJSON(h))
		}
		if len(names) == 0 {
			if *asJSON {
				return screen.JSON(c.OutOrStdout(), all)
			}
			var rows [][]any
			for _, h := range all {
				rows = append(rows, []any{h.Name, h.Summary})
			}
			return screen.Table(c.OutOrStdout(), "BUILT-IN\tWHAT IT MAKES", rows)
		}
		for _, h := range all {
			if h.Name == names[0] && *asJSON {
				return screen.JSON(c.OutOrStdout(), h)
			} else if h.Name == names[0] {
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s: %s\n\n%s\n", h.Name, h.Summary, h.Text)
				return err
			}
		}
		return noBuiltin(names[0], all)
	}
	return c
}
