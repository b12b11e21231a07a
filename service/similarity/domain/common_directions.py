"""What the vectors of all papers have in common, for the models where it was measured.

A frozen mean and principal components of the vectors of 24,000 arXiv papers (no judgement of
relevance was used). Damping them is linear discriminant analysis, with the covariance of all papers
as the background: what the examples of a reader share with every paper says nothing about them.
"""

from base64 import b85decode
from collections.abc import Sequence
from math import fsum
from operator import mul
from typing import Final

from service.similarity.domain import vectors

# Base 85 of rows of signed bytes, each the length of a vector: the mean, then the components.
_DATA: Final = {
    vectors.MINILM: (
        b"`sNM?7yJ133h(sp0Sf^B6%Fk20}2NJ69EA63;7QZ{tfvJ^#u9(`UD9A6#(}3{{-jr`40XG2>1l~{Ob4z1O)>G_XO"
        b"`0{00RL2=5f?2LcKN836nZ{{-{z2l)L7|K|J`1O)~E2>BHV3h)dB3i}241^)*B_5S<=2Kw><4hRtp5&iZ8^Z@k(?"
        b"-&LA^&9a30{Q^>0t^xN0R`j*{s{u~_VNe%0uBB1>HZ1`_W%zD@bv%w2LcTQ1PA&L2nqWN4F&fJ|MUy_2l5LI^!oq"
        b"s_V)zs_4o4m{Q&v^`~~?9{PFt>1M>m-0Pqj=2K)O83j*&3@euk8{Q>g#`1I@$4FB*A4gKf@`1$k(0|xv6?*Q%Z_V"
        b"*C~@AUxq0sQ*~`UesC_zMX73GoH>4fqlo6czyr1`hBF1`zWA>I?-4|Mv71|M?E~`t}1A0Sx&A1r7-M3;XgK4f+EI"
        b"|NjFK{rds;{}A>D{tyG<0R8~@{S^`c2>T2V4*~Q3AMyM16(AJ|69n!9B`gUX7#!rx7X>@<=ML)n5en`I3=`fc)gl"
        b"f3)$;-XEc5FI{}8|J67AmW6GYkm&c^&1_yPYQ-UR^t2`>5z@%In-^za%9Knf)G5e(_lQzR81?DM-6`atx<_UHEj5"
        b"zgusA|4mx2FW@Q1^^5A2<#jH1q~7j5BU%T@$47-<th{u+ztWkB>fZz1M?E@{rku10R#@}1Mnyb=j$K`<n!1M-{1Z"
        b"q81n!8`xpcJ`X2ux829D|EA$EQ-T~+O`qU8oEcoXK9ONU$1|9PJ=ou^k;PdVj@6iMR83E<Y93Axl`Th<k?=Zn00t"
        b"nz5_3-`l@bT;f4cZnoFTB_D=Kj9k1^NXM^V$cz@z(SJ?-&p92m|E+2j&w7`1uL+=@IAI6z%{F@*o&P{}UDs`XkK%"
        b"(E<qx3g_z!@c;uP^#uJF2`32FC;jLb2JHD23=jYK^7Sqj6WaCO7Yp$d9pCNc9L)FY5H2<p7Xu9s1TrQ17UK`vCi("
        b"%v_~!%!?>5@{2utW21kVcZ4ksq+{qO+W?C#qG1RU!A1}*Xh6gMQ)K<@|i@bvBx4eSjkAQLYP0qPdk1Ly7p6XXBz{"
        b"_ybqF7gZp6%g$g>H*CM?B?~$0qXSn>CXxbI`|O^2o4nS{}KZU-tHmy2i4>R3gim_-vA%!695V54+ja-?@a~t{r3e"
        b"c^6u&z;^*xY9q{xW0{0N}5CH%h4iW9-;tLu}!3GBf_{P)Z7yBIQ^Zwur=i)I7^cwXH?d25@`400T)h74`2pSCb>H"
        b"OyJ<pLJ~C@lo_1@jI8B>nsW?+)e(=;_wz{Sp%W)hz8Q1m^(pAL#fL0QCn74BYu8`STP2@;uo+)b$na(hE8S2<^`p"
        b"`Zn_P4m0@~9R>5u0xusC6U6~98#e&j68Zuf0sZ*^*$orK@8~NV|KR@L3kU`X3?T~=#_0zF_x%F!CjbNqE&}=T1_I"
        b"pM<^~}51RY5B2L=5L2R|qEG2#{`#|!!P`2-0PCJ*`S0?`Ql0rScF?-uCo1}qB&9sA=C`0Mul4=DiV4Hy{?AM*PP?"
        b"*a1v3k4$>=}_U){0HYO{Q3d{7zzUi`RyPg{5$jsCm<#A2NgWlMDq05$^q#A77YLD3my0k<MQzL1n&Xy9q|<*+T9)"
        b"9^Y{J%z53(n^Agkm_xIt<;NH&u`2hYG1OM?17yl39=mQ7-``iTW`x)K=L+cyn4mb?;69Mt&82$O+2I~6T>=pVZ69"
        b"WP53IhfF4(1N(%K`@&<M#U(7b5Ez75yOS&?y}E4jvIH`27q3>r4gy^Ar?1_!BqW=+^uV?>zSw_Z$K#`R3*U`nU5Q"
        b"?)&%l@YWg@8!^!G@wEp1ECChi??3bY90Tec{O#)G2-_MK0SW~D0|CVA{PNuq2HxTHDJm$*2k`m%>+>4`{o&aD1L*"
        b"E8{ucia(c0+l4>=kE0sb=P6W$T=^y=^z>fZ@I5dz>m8};!3<MBNj5&1&-CH~_21PcBg8tDS@4j}LT5a%cr%PQsj5"
        b"g_as{MrQq=?V7{zV#6G#}*Im`R^F*`3L|E|H%CK{3ZzYEB6HR`0y6==J?(PEA0&k^(oT&8sIZ44*3f41u-1~#Twc"
        b"mG5hZe8tpgs`VJ2T^zPaO$Q1Ve0TuD=H{taD9tq_X@FMy8@7*g3JRacy>hKQ2_vZxz6g2cA5at^b3;yQB1jqdg9s"
        b"}h-GXN_c>@oHb?iv&p80{DgD&gha{qf@F66Nd-;4Jb0^WE|e*$e&?84(*K5&01M`S<Pe3nbn+4;uLu_8-{?=M?V%"
        b"<?IOC3hmR@_a6ic0uAd9v-S`G?H}d*0Qd+34*cWd>H#1K{@4HZ_U7f^0RJ*B`0@to{|5;~C?D(@^bG%B>Ky|m^a<"
        b"z_{Okwz+4}Dr6Ve15^Y$3*|K9uc*!j-@0}v?JHVE__&m#x-^ZpL<7W4TA4bBM$8O8M#=PdK_G$%g{|M~Uz>Jt0(`"
        b"1tn`0s06E2@>-Z0J`TF`~U9s"
    )
}
# How much of each component is removed: 1 - 1 / (0.95 + 0.05 * its variance, the mean one being 1),
# relative to the other components.
_REMOVED: Final = (0.62, 0.56, 0.33, 0.31)


def without_common(vector: Sequence[float], model: str) -> Sequence[float]:
    """Return what a vector of `model`, in the scale of stored ones, does not share with all papers.

    Unchanged for a model that was not measured. The result has another length: quantize it.
    """
    size, packed = len(vector), _DATA.get(model)
    if packed is None:
        return vector
    data = memoryview(b85decode(packed)).cast("b")
    mean, *components = (data[start : start + size] for start in range(0, len(data), size))
    left = [a - b for a, b in zip(vector, mean, strict=True)]
    # The components are orthogonal, so each may be removed from what the others left.
    for component, removed in zip(components, _REMOVED, strict=True):
        share = removed * fsum(map(mul, left, component)) / vectors.DENSE_SCALE**2
        left = [a - share * b for a, b in zip(left, component, strict=True)]
    return left
