// A keyed table: rows are matched by id and only what changed is touched, so focus, selection and scroll survive a refresh.
const ICONS={check:'M3.5 8.5l3 3 6-7',cross:'M4.5 4.5l7 7m0-7l-7 7',minus:'M4 8h8',pause:'M6 4.5v7M10 4.5v7',clock:'M8 2.4a5.6 5.6 0 1 1 0 11.2A5.6 5.6 0 0 1 8 2.4M8 5.2V8l2 1.2',
 skip:'M5 4.5L9 8l-4 3.5M11 4.5v7',stop:'M5.5 5.5h5v5h-5z',warn:'M8 4v5M8 11.4v.1',dot:'M8 8h.01',spin:'',play:'M6 4.5v7l5.5-3.5z',more:'M4 8h.01M8 8h.01M12 8h.01',retry:'M12 5.5A4.8 4.8 0 1 0 12.8 8M12.5 3v3h-3'};
const esc=x=>String(x??'').replace(/[&<>"']/g,c=>'&#'+c.charCodeAt(0)+';');
const icon=n=>n==='spin'?'<span class="spin" aria-hidden="true"></span>':`<svg class="ic" viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[n]||ICONS.dot}"/></svg>`;
const span=s=>s<60?Math.floor(s)+' s':s<3600?Math.floor(s/60)+' min':s<172800?Math.floor(s/3600)+' h':Math.floor(s/86400)+' d';
const rel=t=>{const s=(Date.now()-t)/1e3;return Math.abs(s)<5?'just now':s>0?span(s)+' ago':'in '+span(-s)};
const dur=m=>{const s=m/1e3;return s<1?Math.round(m)+' ms':s<60?s.toFixed(1)+' s':s<3600?Math.floor(s/60)+' min '+Math.floor(s%60)+' s':Math.floor(s/3600)+' h '+Math.floor(s%3600/60)+' min'};
const full=t=>new Date(t).toLocaleString(undefined,{weekday:'short',day:'numeric',month:'short',year:'numeric',hour:'numeric',minute:'2-digit',second:'2-digit',timeZoneName:'short'});
const time=t=>t==null?'<span class="none">–</span>':`<time data-t="${t}" datetime="${new Date(t).toISOString()}" title="${esc(full(t))}">${rel(t)}</time>`;
const a=(href,t,cls)=>href?`<a href="${esc(href)}" class="${cls||''}">${t}</a>`:t;
const CELL={
 text:c=>c===''?'':c==null?'<span class="none">–</span>':typeof c==='object'?`<span class="two">${c.href?a(c.href,esc(c.t),c.sub!=null?'main':''):`<span class="${c.sub!=null?'main':''}">${esc(c.t)}</span>`}${c.sub!=null?`<small>${esc(c.sub)}</small>`:''}</span>`:esc(c),
 state:c=>c==null?'<span class="none">–</span>':a(c[3],`<span class="chip ${esc(c[0])}">${icon(c[2])}${esc(c[1])}</span>`,'bare')+(c[4]?`<small class="under">${time(c[4])}</small>`:''),
 ago:c=>time(c),
 due:c=>c==null?'<span class="none">–</span>':`<span class="two due ${esc(c.tone||'')}"><span class="main">${c.at!=null?time(c.at):esc(c.t)}</span>${c.sub?`<small>${esc(c.sub)}</small>`:''}</span>`,
 duration:c=>c==null?'<span class="none">–</span>':typeof c==='object'?`<span class="num" data-since="${c.since}">${dur(Math.max(0,Date.now()-c.since))}</span>`:`<span class="num">${dur(c)}</span>`,
 money:c=>c==null||c==='–'?'<span class="none">–</span>':`<span class="num">${esc(c)}</span>`,
 number:c=>c==null?'<span class="none">–</span>':`<span class="num">${esc(typeof c==='number'?c.toLocaleString():c)}</span>`,
 bar:c=>c==null?'<span class="none">–</span>':`<span class="bar" title="${esc(c[1]||'')}"><i class="${esc(c[2]||'green')}" style="width:${Math.max(0,Math.min(100,c[0]))}%"></i></span><span class="num pct">${Math.round(c[0])} %</span>`,
 strip:c=>!c||!c.length?'<span class="none">no runs yet</span>':`<span class="strip" role="img" aria-label="${esc('Last runs, oldest first: '+c.map(x=>x[1].split(' · ')[0]).join(', '))}">${c.map(x=>a(x[2],`<i class="${esc(x[0])}"></i>`,'s').replace('<a ',`<a tabindex="-1" aria-label="${esc(x[1])}" title="${esc(x[1])}" `)).join('')}</span>`,
 toggle:(c,r,col)=>c==null?'':`<button type="button" role="switch" class="switch" aria-checked="${!!c}" data-act="toggle" aria-label="${esc((c?'Turn off ':'Turn on ')+r.name)}"><i></i></button>`,
 buttons:(c,r)=>(c||[]).map(b=>`<button type="button" class="btn" data-act="${esc(b[0])}" aria-label="${esc(b[1]+': '+r.name)}">${b[2]?icon(b[2]):''}<span>${esc(b[1])}</span></button>`).join(''),
};
function apply(S){
 const {base,patch,w}=S, live=patch&&patch.seq===base.seq?patch:null, rows=new Map(base.rows.map(r=>[String(r.id),r]));
 for(const r of live?.rows||[])rows.set(String(r.id),r);
 const order=(live?.order||base.rows.map(r=>r.id)).map(String), cols=base.columns, tb=w.querySelector('tbody');
 const old=new Map([...tb.children].filter(e=>e.dataset.id).map(e=>[e.dataset.id,e]));let at=tb.firstElementChild;
 const fresh=S.seen&&live;
 for(const id of order){const r=rows.get(id);if(!r)continue;let e=old.get(id);old.delete(id);
  if(!e){e=document.createElement('tr');e.dataset.id=id;e.tabIndex=-1;if(base.select){const c=document.createElement('td');c.className='sel';c.innerHTML=`<input type="checkbox" aria-label="Select ${esc(r.name)}">`;e.append(c)}
   for(const c of cols){const d=document.createElement('td');d.className=['k-'+c.kind,c.align||'',c.phone||''].join(' ').trim();d.dataset.label=c.label;e.append(d)}if(fresh)e.classList.add('fresh')}
  const off=base.select?1:0;cols.forEach((c,i)=>{const h=CELL[c.kind](r.c[i],r,c),d=e.children[i+off];if(d._h!==h){d.innerHTML=h;d._h=h}});
  e._r=r;e.classList.toggle('busy',false);for(const t of ['red','amber','blue','muted'])e.classList.toggle('t-'+t,r.tone===t);
  if(e!==at)tb.insertBefore(e,at);else at=at.nextElementSibling}
 for(const e of old.values()){if(e.contains(S.root.activeElement)){const n=e.nextElementSibling||e.previousElementSibling;n&&n.focus()}e.remove();S.picked.delete(e.dataset.id)}
 S.seen=true;const rowsNow=[...tb.children];if(!rowsNow.some(e=>e.tabIndex===0)&&rowsNow[0])rowsNow[0].tabIndex=0;
 w.querySelector('.empty').hidden=rowsNow.length>0;w.querySelector('table').hidden=rowsNow.length===0;bulk(S)}
function bulk(S){const box=S.w.querySelector('.bulk');if(!S.base.select)return;const rows=[...S.w.querySelectorAll('tbody tr')].filter(e=>S.picked.has(e.dataset.id));
 for(const e of S.w.querySelectorAll('tbody tr')){const on=S.picked.has(e.dataset.id);e.classList.toggle('picked',on);e.querySelector('.sel input').checked=on}
 box.hidden=!rows.length;if(!rows.length)return;
 const parts=S.base.select.map(([act,label,one])=>{const n=rows.filter(e=>(e._r.can||[]).includes(act)).length;if(one!=null&&!n)return '';
  const said=one==null?`${label} ${n}`:n===1?one:label.replace('{n}',n.toLocaleString());return `<button type="button" class="btn" data-bulk="${esc(act)}" ${n?'':'disabled'}>${esc(said)}</button>`}).join('')||'<em>Open these one by one</em>';
 box.innerHTML=`<span>${rows.length} selected</span>${parts}<button type="button" class="btn quiet" data-bulk="">Clear</button>`}
export default function(c){
 const {parentElement:root,data,setTriggerValue}=c;let S=root._S;
 if(!S){const w=root.querySelector('.w');S=root._S={root,w,picked:new Set(),patch:null};
  S.tick=setInterval(()=>{if(document.hidden)return;for(const t of w.querySelectorAll('time[data-t]')){const s=rel(+t.dataset.t);if(t.textContent!==s)t.textContent=s}
   for(const t of w.querySelectorAll('[data-since]'))t.textContent=dur(Math.max(0,Date.now()-t.dataset.since))},1000)}
 const {w}=S;S.base=data;S.set=setTriggerValue;
 const head=(data.select?'<th class="sel"><input type="checkbox" aria-label="Select all rows"></th>':'')+data.columns.map(k=>`<th scope="col" class="${esc(['k-'+k.kind,k.align||''].join(' '))}" ${k.width?`style="width:${esc(k.width)}"`:''}>${k.hide_label?`<span class="vh">${esc(k.label)}</span>`:esc(k.label)}</th>`).join('');
 if(S.head!==head){S.head=head;w.innerHTML=`<table aria-label="${esc(data.label)}"><thead><tr>${head}</tr></thead><tbody></tbody></table><p class="empty" hidden></p><div class="more"></div><div class="bulk" role="toolbar" aria-label="Selected rows" hidden></div>`;S.seen=false}
 w.classList.toggle('dense',!!data.dense);w.classList.toggle('opens',!!data.opens);w.querySelector('.empty').textContent=data.empty||'Nothing here.';
 w.querySelector('.more').innerHTML=(data.more||[]).map(([t,h])=>`<a href="${esc(h)}">${esc(t)}</a>`).join('');w.querySelector('.more').hidden=!data.more;
 const all=window.__opsTables??=new Map();all.set(data.key,p=>{S.patch=p;apply(S)});
 if(window.__opsPatches?.get(data.key))S.patch=window.__opsPatches.get(data.key);apply(S);
 const open=tr=>{for(const e of w.querySelectorAll('tr.at'))e.classList.remove('at');tr.classList.add('at');
  const page=tr._r.page&&matchMedia('(max-width:640px)').matches?tr._r.page:tr._r.href;
  if(page){document.dispatchEvent(new CustomEvent('ops:go',{detail:page}))}else if(data.opens)S.set('open',tr._r.id)};
 w.onclick=e=>{const tr=e.target.closest('tbody tr'),b=e.target.closest('button,input,a');
  if(b?.dataset.bulk!=null){if(b.dataset.bulk){const ids=[...w.querySelectorAll('tbody tr')].filter(x=>S.picked.has(x.dataset.id)&&(x._r.can||[]).includes(b.dataset.bulk)).map(x=>x._r.id);S.set('act',{action:b.dataset.bulk,ids})}S.picked.clear();bulk(S);return}
  if(e.target.closest('th.sel input')){const on=e.target.checked;for(const x of w.querySelectorAll('tbody tr'))on?S.picked.add(x.dataset.id):S.picked.delete(x.dataset.id);bulk(S);return}
  if(!tr)return;
  if(e.target.closest('td.sel')){const i=tr.querySelector('.sel input'),on=b===i?i.checked:!i.checked;on?S.picked.add(tr.dataset.id):S.picked.delete(tr.dataset.id);bulk(S);return}
  if(b?.dataset.act){if(b.getAttribute('role')==='switch')b.setAttribute('aria-checked',b.getAttribute('aria-checked')!=='true');else b.classList.add('wait');
   S.set('act',{action:b.dataset.act,ids:[tr._r.id]});setTimeout(()=>b.classList.remove('wait'),1500);return}
  if(b?.tagName==='A'){return}
  if(String(getSelection()).length>0&&!getSelection().isCollapsed)return;
  if(!(e.metaKey||e.ctrlKey||e.shiftKey))open(tr)};
 const move=(tr,n)=>{const rows=[...w.querySelectorAll('tbody tr')],to=rows[Math.max(0,Math.min(rows.length-1,rows.indexOf(tr)+n))];if(!to)return;for(const r of rows)r.tabIndex=-1;to.tabIndex=0;to.focus();to.scrollIntoView({block:'nearest'})};
 w.onkeydown=e=>{const tr=e.target.closest('tbody tr');if(!tr||e.metaKey||e.ctrlKey||e.altKey)return;const k=e.key;
  if(k==='j'||k==='ArrowDown')move(tr,1);else if(k==='k'||k==='ArrowUp')move(tr,-1);else if(k==='Home')move(tr,-1e6);else if(k==='End')move(tr,1e6);
  else if(k==='Enter'&&e.target===tr)open(tr);else if(k==='x'&&data.select){S.picked.has(tr.dataset.id)?S.picked.delete(tr.dataset.id):S.picked.add(tr.dataset.id);bulk(S)}else return;e.preventDefault()};
 if(!S.doc){S.doc=e=>{if(e.target.closest?.('input,textarea,[contenteditable],[role=dialog]')||e.metaKey||e.ctrlKey||e.altKey)return;
   if((e.key==='j'||e.key==='ArrowDown')&&e.composedPath()[0]===document.body&&S.base.opens){const f=w.querySelector('tbody tr');if(f){move(f,0);e.preventDefault()}}};document.addEventListener('keydown',S.doc)}
 return ()=>{clearInterval(S.tick);document.removeEventListener('keydown',S.doc);all.delete(data.key);root._S=null}
}
