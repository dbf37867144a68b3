package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/spec"
)

func newImageRender(a *app) *cobra.Command {
	c := &cobra.Command{Use: "render NAME", Short: "Print the Containerfile that building an image executes", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeBuilt(false),
		Long: `render prints what reconcile gives to the engine: the image's fragments stacked,
then its recipe, copy and run, then the fixes of its root file system. The
engine gets the base as the build argument GITBOOT_FROM.`,
		Example: "  gitboot image render desktop",
		RunE: func(c *cobra.Command, names []string) error {
			return a.looking(c, nil, func(r *reconciler.Reconciler) error {
				text, err := r.Render(c.Context(), names[0])
				if err != nil {
					return err
				}
				_, err = screen.Document(c.OutOrStdout()).Write(text)
				return err
			})
		},
	}
	a.worktreeFlag(c)
	return c
}

func newImageBuild(a *app) *cobra.Command {
	req, noPush := workshop.Request{Trigger: "command"}, false
	c := &cobra.Command{Use: "build NAME... | --all", Short: "Build images and the bases they need, and stage nothing", ValidArgsFunction: a.completeBuilt(true),
		Long: `build builds the named images where something they are made from changed, bases
first. What it built is staged by the next reconcile, and published now if the
image has push. A failed image leaves the others to be built, but for its
children.`,
		Example: `  gitboot image build desktop
  gitboot image build desktop --no-cache     # every step anew, changed or not
  gitboot image build --all`,
	}
	f := c.Flags()
	f.BoolVar(&req.All, "all", false, "build all images that this machine builds")
	f.BoolVar(&req.NoCache, "no-cache", false, "build even if nothing changed, and execute every step anew")
	f.BoolVar(&noPush, "no-push", false, "publish nothing; the next reconcile does")
	f.BoolVar(&a.update, "update", false, "look up bases in registries now, whether or not a schedule is due")
	f.BoolVar(&a.wait, "wait", false, "wait for another run to finish instead of failing")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		if req.Names = names; req.All == (len(names) > 0) {
			return usage.Errorf("which images? name them, or give --all; see `%s --help`", c.CommandPath())
		}
		show := screen.New(c.ErrOrStderr())
		r, err := a.reconciler(c, show)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		req.Update, req.Wait = a.update, a.wait
		results, err := r.Build(c.Context(), req, !noPush)
		if err = errors.Join(err, show.Close()); err != nil {
			return err
		}
		return printBuilds(c.OutOrStdout(), results, *asJSON)
	}
	return c
}

type buildJSON struct {
	Image  string `json:"image"`
	Result string `json:"result"` // built, unchanged or failed
	Digest string `json:"digest"`
	Pushed bool   `json:"pushed"`
	Error  string `json:"error,omitempty"`
	// Packages is how they differ from the newest generation.
	Packages string `json:"packages,omitempty"`
}

func printBuilds(w io.Writer, results []workshop.Result, asJSON bool) error {
	failed, unpublished := map[string]error{}, map[string]error{}
	list, rows := []buildJSON{}, [][]any{}
	for _, b := range results {
		j := buildJSON{Image: b.Image, Result: "unchanged", Digest: b.Digest, Pushed: b.Pushed}
		switch {
		case b.Err != nil:
			j.Result, j.Error, failed[b.Image] = "failed", b.Err.Error(), b.Err
		case b.Built:
			j.Result = "built"
		}
		if b.PushErr != nil {
			j.Error, unpublished[b.Image] = b.PushErr.Error(), b.PushErr
		}
		if b.Packages != nil {
			j.Packages = b.Packages.String()
		}
		list = append(list, j)
		rows = append(rows, []any{j.Image, j.Result, plan.Short(j.Digest), buildNote(j)})
	}
	var err error
	if asJSON {
		err = screen.JSON(w, list)
	} else {
		err = screen.Table(w, "IMAGE\tRESULT\tDIGEST\tNOTE", rows)
	}
	return errors.Join(err, reconciler.Result{Failed: failed, Unpublished: unpublished}.Err())
}

func buildNote(j buildJSON) string {
	var notes []string
	if j.Pushed {
		notes = append(notes, "pushed")
	}
	if j.Error != "" && j.Result != "failed" {
		notes = append(notes, "not pushed")
	}
	if j.Packages != "" {
		notes = append(notes, "packages: "+j.Packages)
	}
	return strings.Join(notes, "; ")
}

func newImageLog(a *app) *cobra.Command {
	var follow bool
	c := &cobra.Command{Use: "log NAME", Short: "Print the whole log of an image's last build on this machine", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeBuilt(false),
		Long:    "log prints what an image's last build has printed, up to now if it still runs.",
		Example: "  gitboot image log desktop | less\n  gitboot image log desktop --follow",
		RunE: func(c *cobra.Command, names []string) error {
			st, err := a.openStage()
			if err != nil {
				return err
			}
			r, err := reconciler.Existing(reconciler.Config{Stage: st.Dir()})
			if err != nil {
				return err
			}
			return r.Shop.Show(c.Context(), names[0], follow, c.OutOrStdout())
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build has ended")
	return c
}

// A treeNode is an image, or a base that is none.
type treeNode struct {
	name, kind string
	children   []*treeNode
}

type branchJSON struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	From string `json:"from"`
}

// branches lists the tree's images, parents first.
func branches(nodes []*treeNode, from string) []branchJSON {
	out := []branchJSON{}
	for _, n := range nodes {
		if name, ok := strings.CutPrefix(n.name, "image:"); ok && n.kind != "base" {
			out = append(out, branchJSON{name, n.kind, from})
		}
		out = append(out, branches(n.children, n.name)...)
	}
	return out
}

func newImageTree(a *app) *cobra.Command {
	c := &cobra.Command{Use: "tree", Short: "Show which image of this machine is built from which", Args: usage.NoArgs,
		Example: "  gitboot image tree --machine laptop"}
	a.worktreeFlag(c)
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.looking(c, nil, func(r *reconciler.Reconciler) error {
			w, err := r.Wanted(c.Context())
			if err != nil {
				return err
			}
			roots := imageTree(w.Wants)
			if *asJSON {
				return screen.JSON(c.OutOrStdout(), branches(roots, ""))
			}
			return printTree(c.OutOrStdout(), roots, 0)
		})
	}
	return c
}

func imageTree(wants *spec.Wants) []*treeNode {
	nodes, roots := map[string]*treeNode{}, []*treeNode{}
	var add func(spec.Image) *treeNode
	child := func(of *[]*treeNode, name, kind string) *treeNode {
		if nodes[name] == nil {
			nodes[name] = &treeNode{name: name, kind: kind}
			*of = append(*of, nodes[name])
		}
		return nodes[name]
	}
	add = func(img spec.Image) *treeNode {
		kind, from := origin(img)
		switch {
		case img.Build == nil:
			return child(&roots, "image:"+img.Name, kind)
		case img.Build.Base != nil:
			return child(&add(*img.Build.Base).children, "image:"+img.Name, kind)
		}
		return child(&child(&roots, from, "base").children, "image:"+img.Name, kind)
	}
	for _, img := range slices.Concat(wants.Images, wants.Builds) {
		add(img)
	}
	return roots
}

func printTree(w io.Writer, nodes []*treeNode, depth int) error {
	for _, n := range nodes {
		line := strings.Repeat("  ", depth) + n.name
		if n.kind == "pull" || n.kind == "archive" {
			line += " (" + n.kind + ")"
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
		if err := printTree(w, n.children, depth+1); err != nil {
			return err
		}
	}
	return nil
}
