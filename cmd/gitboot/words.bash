
# Where the package bash-completion is not installed, this is what finds the
# words: what bash has split at = and : is put together again.
__gitboot_init_completion()
{
    local i word
    COMPREPLY=() words=() cword=0
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        word=${COMP_WORDS[i]}
        if ((${#words[@]} > 1)) && [[ $word == [:=]* || ${words[${#words[@]}-1]} == *[:=] ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        if ((i == COMP_CWORD)); then
            cword=$((${#words[@]} - 1))
        fi
    done
    cur=${words[cword]} prev=${words[cword-1]-}
}
