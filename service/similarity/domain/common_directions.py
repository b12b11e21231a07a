"""What the vectors of all papers have in common, for the models where it was measured.

A frozen mean and principal components of the vectors of arXiv papers, 24,000 for MiniLM and 6,000
for WordLlama (no judgement of relevance was used). Damping them is linear discriminant analysis,
with the covariance of all papers as the background: what the examples of a reader share with every
paper says nothing about them.
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
    ),
    vectors.WORDLLAMA: (
        b"=qvir3<nwu5i&;X4Ep5V77yp&?f5A7G5OftE~^gx{QTN7=I<%^5cTrjH}UT9AMHHY3+LV+`Pb6^_Uj!92n_K9{Q(RD4D"
        b"tQ{1Qh=X3JnSd2L}2B{|NT``~>#|`vCd+1M>d__x=I@>jN1L`S9)i^z#<-0|f^G_W%R{0ty!W@%jJp1q|vI@fP*`@Adc"
        b"h2LS>F4euWy5&-Q42m=EH1qk)`>I3QL^ac+81q=}d0}cNB@AwJ+{sjB(1Ly?q4*dQI1O@N`1PAya{r?CH^z;V}3GMFn`"
        b"v3k2-1-0U;O-C!`~&b13jgZ?2Knv>6c7jh`u_#>`wa^F@6g^IzzYO6L^J0n-C^y!&GQ(f*GtF{=h-y`^$Pdi11v2dKNA"
        b"NRA_;2S;0GD`(-F!RmnTfS;!HFIB33y3A~XBw0|o)=`})=Y=h-6W=mhEr@y!qQ4I~y7`2g?B?->#a9We_d0{s387Z>{U"
        b"-xdiJ<0=9a2n^uzA_Mjf73Boz3n1bMB-!`gDFoyG4h{ta4+{bo0`=GGwH59;Hvi=RC+Y+$2>>wu4InWl$o#_n1=<Y@2^"
        b"Hnq6(bK8-T4?866x{f6&3vK7V-Wb=G^T4HuBa7{s9^29|RZx^bHa(6z=%z>)Z431{OO369f+s0`%zeA^`>v1p)LfIVkG"
        b"F+8jFNCg)@r4&<z}-Xh!rs}tY>6sK1>N99fh8pjv?%LWQF=;IvS9vTQX@wX=m3M}$uE9%$&6aE4z3-b}X^#kVo`{nZ8{"
        b"~7M_+YinMCj{W%`rQcK2RZvi>-YTd01^Wf^brf|=kx#~`Wq451}i=79RBhy>=qR${OBnl>*e4F;~Enf1_KB24h{?u5%n"
        b"St{QT=N**6LVJ}DUh4*cx+4ie=969NC@-vsf}1}^OP{@@w~3Eb2O``*gTIRNVO3k?to^!Yvj0RsC76VeF<^ZpO!_BJcw"
        b"!uJW%9tj@)>G$dM?<@A|5#!`6_!Qv#C<zD8_~8NXk3*ai0y96RUIFh8I1WNS)*mGL4cGj_-M|;(<r^6wALaT6%{C3BA<"
        b";7i%^3XZ9PtS(ArABm%Qp%PAn?5J4hib}J>m`b0O||~{{sn1829!f>FD<c^Zf7TDeW`>9|PGd-4QS30m>fc{MQQR3pec"
        b"j2ni4u{T1pD!yFm+9T*|}6C3gO@96L2I5#BLTOtt~9}4{<{pk-C>Ix15-1jB?3mMh!4EhD>@&otu3J&}3{0b2Z{tE~0E"
        b"&Mj>=Jovo;3)#*(8m1n5HAb>?DPQf^D!SZ=oBpP2?pp3`5@-v4ie+;91;P*7#05^?Iil?@6+k!7a#ce;2;a_DHA#`@GJ"
        b"z%;@1FFB^jwn8D0|hI}SJn57xU79{K;VSKLGd#u61WCn^;)(&q;3-vQcG3kNF<|L;aEv>zqn1Nhwv8Vd3Z>pbQQ4&21;"
        b"NF(AI_2c;gAL#1W)dueH5eV(e_VoMr5DYH|`v?{J^9(Z$5DMJz^%E5(4%HX)4%6c5`so}|-U=rX1MU+ONj(eP@gMBq4J"
        b"GIT3kL294+QuA`~Kc201EvbGUN>P3kK}?^$j5QCizS91@;Ez?G!8m_0!?$+xQR$3)CC#9~k`y{UG=r3lJ;<?EKvx9K`b"
        b"n9r42M<1G{c2n6cmBIXh4?-(N%`T!O8>*)?4"
    ),
}
# How much of each component is removed, relative to the other components: 1 - 1 / (s + (1 - s) * its
# variance, the mean one being 1), where the shrinkage s is 0.95 for MiniLM and 0.5 for WordLlama.
_REMOVED: Final = {
    vectors.MINILM: (0.62, 0.56, 0.33, 0.31),
    vectors.WORDLLAMA: (0.91, 0.84, 0.75, 0.73),
}


def read_common(model: str) -> tuple[Sequence[int], tuple[tuple[Sequence[int], float], ...]] | None:
    """Return the mean of all papers, and each component with the share of it to remove.

    None for a model that was not measured. Vectors are in the scale of stored ones.
    """
    packed = _DATA.get(model)
    if packed is None:
        return None
    data = memoryview(b85decode(packed)).cast("b")
    size = len(data) // (1 + len(_REMOVED[model]))
    mean, *components = (data[start : start + size] for start in range(0, len(data), size))
    return mean, tuple(zip(components, _REMOVED[model], strict=True))


def without_common(vector: Sequence[float], model: str) -> Sequence[float]:
    """Return what a vector of `model`, in the scale of stored ones, does not share with all papers.

    Unchanged for a model that was not measured, and where there is no vector. The result has
    another length: quantize it.
    """
    common = read_common(model)
    if common is None or not vector:
        return vector
    mean, components = common
    left = [a - b for a, b in zip(vector, mean, strict=True)]
    # The components are orthogonal, so each may be removed from what the others left.
    for component, removed in components:
        share = removed * fsum(map(mul, left, component)) / vectors.DENSE_SCALE**2
        left = [a - share * b for a, b in zip(left, component, strict=True)]
    return left
