package render

import "text/template/parse"

// What is inserted. Templates cannot name these themselves: they are not known
// when a template is parsed.
const (
	entered = "gitboot_entered"
	left    = "gitboot_left"
	looped  = "gitboot_looped"
	looked  = "gitboot_looked"
	printed = "gitboot_printed"
	sized   = "gitboot_sized"
)

// rewrite makes a template count what it does. It goes no deeper than what may
// be executed.
func rewrite(root *parse.ListNode) {
	list(root, 0)
	root.Nodes = append(append([]parse.Node{action(entered, root.Pos)}, root.Nodes...), action(left, root.Pos))
}

func list(l *parse.ListNode, depth int) {
	if l == nil || depth > maxNesting {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			pipe(n.Pipe)
			if len(n.Pipe.Decl) == 0 {
				pass(n.Pipe, printed)
			}
		case *parse.IfNode:
			branch(&n.BranchNode, depth)
		case *parse.WithNode:
			branch(&n.BranchNode, depth)
		case *parse.RangeNode:
			branch(&n.BranchNode, depth)
			pass(n.Pipe, looked)
			n.List.Nodes = append([]parse.Node{action(looped, n.Pos)}, n.List.Nodes...)
		case *parse.TemplateNode:
			pipe(n.Pipe)
		}
	}
}

func branch(b *parse.BranchNode, depth int) {
	pipe(b.Pipe)
	list(b.List, depth+1)
	list(b.ElseList, depth+1)
}

// tooDeep says whether branches nest more than may be executed.
func tooDeep(l *parse.ListNode) bool { return depthOf(l, maxNesting) < 0 }

// depthOf returns what is left of a depth below a list.
func depthOf(l *parse.ListNode, left int) int {
	if l == nil || left < 0 {
		return left
	}
	least := left
	for _, n := range l.Nodes {
		var b *parse.BranchNode
		switch n := n.(type) {
		case *parse.IfNode:
			b = &n.BranchNode
		case *parse.WithNode:
			b = &n.BranchNode
		case *parse.RangeNode:
			b = &n.BranchNode
		default:
			continue
		}
		least = min(least, depthOf(b.List, left-1), depthOf(b.ElseList, left-1))
	}
	return least
}

// comparing are the functions that look at all of their arguments.
func comparing(name string) bool {
	switch name {
	case "eq", "ne", "lt", "le", "gt", "ge", "index":
		return true
	}
	return false
}

func pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	var cmds []*parse.CommandNode
	for i, c := range p.Cmds {
		for _, arg := range c.Args {
			inside(arg)
		}
		if f, ok := c.Args[0].(*parse.IdentifierNode); ok && comparing(f.Ident) {
			for j := 1; j < len(c.Args); j++ {
				c.Args[j] = wrap(c.Args[j])
			}
			if i > 0 {
				cmds = append(cmds, command(sized, c.Pos))
			}
		}
		cmds = append(cmds, c)
	}
	p.Cmds = cmds
}

// inside rewrites the pipelines in parentheses.
func inside(arg parse.Node) {
	switch arg := arg.(type) {
	case *parse.PipeNode:
		pipe(arg)
	case *parse.ChainNode:
		inside(arg.Node)
	}
}

// wrap makes (sized arg) of an argument that may be large.
func wrap(arg parse.Node) parse.Node {
	switch arg.(type) {
	case *parse.NumberNode, *parse.BoolNode, *parse.NilNode:
		return arg
	}
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: arg.Position(), Cmds: []*parse.CommandNode{command(sized, arg.Position(), arg)}}
}

// pass sends the outcome of a pipeline through a function.
func pass(p *parse.PipeNode, function string) { p.Cmds = append(p.Cmds, command(function, p.Pos)) }

func action(function string, pos parse.Pos) *parse.ActionNode {
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: &parse.PipeNode{
		NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{command(function, pos)}}}
}

func command(function string, pos parse.Pos, args ...parse.Node) *parse.CommandNode {
	name := parse.NewIdentifier(function).SetPos(pos)
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: append([]parse.Node{name}, args...)}
}
