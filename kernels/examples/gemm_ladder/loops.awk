# For `just asm`: of `objdump -d -C -M intel --no-show-raw-insn`, the functions whose name contains
# `kernel`, and of those the innermost loops (jumps backwards with no other such jump inside) that
# multiply. A function without one is shown whole.

/^[0-9a-f]+ <.*>:$/ {
    show()
    name = substr($0, index($0, "<") + 1)
    sub(/>:$/, "", name)
    keep = index(name, kernel) > 0
    next
}

keep && /^ *[0-9a-f]+:/ {
    count++
    address = $1
    sub(/:$/, "", address)
    line_at[address] = count
    text[count] = $0
    # A jump names its target: `jne 7a40 <name+0x40>`.
    target[count] = $2 ~ /^j/ ? $3 : ""
    multiplies[count] = $2 ~ /mul|fmadd|fmla|pdp|tdp/
}

END {
    show()
    if (!found) {
        print "no function is called …" kernel "… (it may be part of its caller)" > "/dev/stderr"
        exit 1
    }
}

function show(    i, j, start, inner, products, shown) {
    if (!count) return
    found = 1
    for (i = 1; i <= count; i++) {
        start = target[i] == "" ? 0 : line_at[target[i]]
        if (!start || start > i) continue
        head[i] = start
        inner = 1
        products = 0
        for (j = start; j <= i; j++) {
            if (j < i && head[j]) inner = 0
            products += multiplies[j]
        }
        if (inner && products) {
            print name ", a loop:"
            for (j = start; j <= i; j++) print text[j]
            print ""
            shown = 1
        }
    }
    if (!shown) {
        print name ":"
        for (i = 1; i <= count; i++) print text[i]
        print ""
    }
    count = 0
    split("", line_at)
    split("", target)
    split("", head)
}
